{{ config(materialized='view') }}

with

open_jobs as (

    select
        *,
        extract(epoch from now() - coalesce(dispatched_time, created_time)) / 60
            as waiting_min
    from {{ ref('fact_jobs') }}
    where closed_time is null

),

jobs as (

    select
        ---------- ids
        job_id,
        vehicle_id,
        technician,

        ---------- groups
        city,
        cost_centre,
        service_type,
        customer_class,

        ---------- measures
        created_time,
        dispatched_time,
        arrived_time,
        waiting_min::numeric(12, 1) as waiting_min,
        sla_target_min,
        case
            when arrived_time is not null then 'arrived'
            when sla_target_min is null then 'no target'
            when waiting_min > sla_target_min then 'late'
            else 'within target'
        end as status
    from open_jobs

)

select * from jobs
