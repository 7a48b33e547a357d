{{ config(materialized='view') }}

with

rejected as (

    select
        source,
        reason,
        is_kept,
        imei,
        {{ day_of('fetched_at') }} as day
    from {{ ref('rejected_records') }}

),

counted as (

    select
        ---------- ids
        rejected.day,
        {{ start_of('rejected.day') }} as day_start,
        cut.scope,
        cut.scope_value,
        rejected.source,
        rejected.reason,
        rejected.is_kept,

        ---------- measures
        count(*)::integer as records_count,
        count(distinct rejected.imei)::integer as devices_count
    from rejected
    {{ scopes({'device': 'rejected.imei'}) }}
    group by
        rejected.day,
        cut.scope,
        cut.scope_value,
        rejected.source,
        rejected.reason,
        rejected.is_kept

)

select * from counted
