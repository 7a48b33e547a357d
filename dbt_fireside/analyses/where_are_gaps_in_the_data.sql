-- Question: On which days is data missing, and how much of it?
-- Tag:      AD-HOC
-- Status:   Ready
-- Read:     One row per day. If all counts fall, the service was down: fetch that day
--           again with orchestrate.py backfill. If only fixes_per_driving_hour falls,
--           the trail is not fetched yet.

select
    quality.day,
    quality.devices_count,
    quality.reporting_pct,
    quality.silent_count,
    quality.fixes_per_driving_hour,
    quality.trail_to_trips_pct,
    pipeline.calls_count,
    pipeline.failed_calls_pct,
    pipeline.longest_sweep_gap_min,
    pipeline.rejected_records_count
from {{ ref('kpi_data_quality_daily') }} as quality
left join {{ ref('kpi_pipeline_daily') }} as pipeline
    on
        quality.day = pipeline.day
        and quality.scope = pipeline.scope
        and quality.scope_value = pipeline.scope_value
where quality.scope = 'fleet'
order by quality.day desc
