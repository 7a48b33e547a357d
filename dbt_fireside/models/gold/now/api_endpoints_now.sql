{{ config(materialized='view') }}

with

week as (

    select *
    from {{ ref('api_calls_hourly') }}
    where hour_start > now() - interval '7 days'

),

endpoints as (

    select
        ---------- ids
        endpoint,

        ---------- measures of the last 7 days
        sum(calls_count)::bigint as calls_count,
        sum(failed_calls_count)::bigint as failed_calls_count,
        (100.0 * sum(failed_calls_count) / sum(calls_count))::numeric(5, 2)
            as failed_calls_pct,
        sum(records_count)::bigint as records_count,
        max(last_success_time) as last_success_time,
        extract(epoch from now() - max(last_success_time))::integer
            as last_success_age_s,
        (
            array_agg(last_failure order by hour_start desc)
            filter (where last_failure is not null)
        )[1] as last_failure
    from week
    group by endpoint

)

select * from endpoints
