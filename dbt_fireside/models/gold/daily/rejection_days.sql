{{ config(
    incremental_strategy='delete+insert',
    unique_key=['day'],
    reads_from=['rejected_records'],
    indexes=[{'columns': ['day_start']}, {'columns': ['scope_value', 'day']}],
    pre_hook='{{ forget_judged_days() }}',
) }}

-- A table and not a view, because counting a year of records takes too long for a
-- dashboard.

with

changed_days as (

    select distinct {{ day_of('fetched_at') }} as day
    from {{ ref('rejected_records') }}
    where {{ is_claimed('load_id') }}
    union
    -- With a new fix, the places of the fixes around it may be judged otherwise.
    select {{ day_of('fix.fetched_at') }} as day
    from {{ judged_fixes() }} as fix

),

rejected as (

    select
        record.source,
        -- How late or early a time is, is no reason of its own.
        regexp_replace(record.reason, '([0-9]+ (d|h|min) )+', '', 'g') as reason,
        record.is_kept,
        record.imei,
        changed_days.day
    from changed_days
    inner join {{ ref('rejected_records') }} as record
        on
            record.fetched_at >= {{ start_of('changed_days.day') }}
            and record.fetched_at < {{ start_of('changed_days.day + 1') }}

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
