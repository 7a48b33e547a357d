-- Question: How ready are the fleet and its data for the KPIs?
-- Tag:      MONTHLY
-- Status:   Ready
-- Read:     One row per city, on the newest day: which devices report, and which fields
--           are filled in. A missing field keeps KPIs without a value: plates those of
--           jobs, driver names those of drivers, fuel norms those of cost.

select
    scope,
    scope_value,
    day,
    devices_count,
    reporting_pct,
    silent_count,
    never_reported_count,
    plates_pct,
    driver_names_pct,
    cost_centres_pct,
    fuel_norms_pct
from {{ ref('kpi_data_quality_daily') }}
where
    scope in ('fleet', 'city')
    and day = (
        select max(newest.day)
        from {{ ref('kpi_data_quality_daily') }} as newest
    )
order by scope desc, devices_count desc, scope_value asc
