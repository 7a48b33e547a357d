-- Question: How soon does a technician arrive, and how long does a job take?
-- Tag:      DASHBOARD
-- Status:   Needs data: jobs of the job system (orchestrate.py import-jobs)
-- Read:     One row per city and kind of service. Read medians beside means, because
--           one forgotten job raises a mean for weeks. matched_count is the number of
--           arrivals that a stop of the vehicle shows, not the job system. Period: the
--           newest 28 days with jobs.

select
    city,
    service_type,
    count(*) as jobs_count,
    (avg(response_s) / 60)::numeric(9, 1) as mean_response_min,
    (
        percentile_cont(0.5) within group (order by response_s::double precision) / 60
    )::numeric(9, 1) as median_response_min,
    (avg(repair_s) / 60)::numeric(9, 1) as mean_repair_min,
    (
        percentile_cont(0.5) within group (order by repair_s::double precision) / 60
    )::numeric(9, 1) as median_repair_min,
    count(*) filter (where arrival_source = 'stop') as matched_count
from {{ ref('fact_jobs') }}
where
    closed_time is not null
    and day > (
        select max(newest.day) - 28
        from {{ ref('fact_jobs') }} as newest
    )
group by city, service_type
order by city asc, service_type asc
