{{ config(
    incremental_strategy='upsert_best',
    unique_key=['hour_start', 'endpoint'],
    reads_from=['ingestion_log'],
) }}

-- A table and not a view, because counting a year of calls takes too long for a
-- dashboard.

with

changed_hours as (

    select distinct
        endpoint,
        method,
        date_trunc('hour', start_time) as hour_start
    from {{ ref('ingestion_log') }}
    where {{ is_claimed('load_id') }}

),

hours as (

    -- The log is read by method, because it has an index on the method. An endpoint has
    -- one method.
    select
        changed_hours.hour_start,
        changed_hours.endpoint,
        calls.*
    from changed_hours
    inner join lateral (
        select
            count(*)::integer as calls_count,
            (count(*) filter (where not call.is_success))::integer
                as failed_calls_count,
            count(distinct call.load_id)::integer as loads_count,
            coalesce(sum(call.records_count), 0)::bigint as records_count,
            coalesce(sum(call.missing_count), 0)::bigint as missing_devices_count,
            (percentile_cont(0.95) within group (order by call.duration_ms) / 1000)
            ::numeric(9, 3) as p95_duration_s,
            max(call.start_time) filter (where call.is_success) as last_success_time,
            max(call.start_time) filter (where not call.is_success)
                as last_failure_time,
            (
                array_agg(call.message order by call.start_time desc)
                filter (where not call.is_success)
            )[1] as last_failure
        from {{ ref('ingestion_log') }} as call
        where
            call.method = changed_hours.method
            and call.endpoint = changed_hours.endpoint
            and call.start_time >= changed_hours.hour_start
            and call.start_time < changed_hours.hour_start + interval '1 hour'
    ) as calls on true

)

select * from hours
