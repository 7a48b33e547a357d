-- Question: Which open jobs have waited longest, and are they still within their
--           target?
-- Tag:      ALERT
-- Status:   Blocked: SLA targets per kind of service are not agreed (operating rules
--           sla_arrival_…), and jobs are not imported
-- Read:     One row per open job up to the newest import, the longest waiting first.
--           minutes_left counts down to the target for the technician's arrival. It is
--           empty if no target is agreed, and then no job is late.

with

imported as (

    select max(data_as_of) as newest_time
    from {{ ref('fact_jobs') }}

)

select
    jobs.job_id,
    jobs.city,
    jobs.service_type,
    jobs.customer_class,
    jobs.technician,
    jobs.vehicle_id,
    jobs.arrived_time is not null as is_arrived,
    (
        extract(epoch from imported.newest_time - jobs.created_time) / 60
    )::numeric(12, 0) as waited_min,
    jobs.sla_target_min,
    case
        when jobs.arrived_time is null
            then jobs.sla_target_min - extract(
                epoch from imported.newest_time
                - coalesce(jobs.dispatched_time, jobs.created_time)
            ) / 60
    end::numeric(12, 0) as minutes_left
from {{ ref('fact_jobs') }} as jobs
cross join imported
where jobs.closed_time is null
order by waited_min desc nulls last, jobs.job_id asc
