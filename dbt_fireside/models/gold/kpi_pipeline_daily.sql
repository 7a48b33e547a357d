{{ config(
    incremental_strategy='newest_wins',
    unique_key=['day', 'scope', 'scope_value'],
    takes_from=['ingestion_log', 'rejected_records'],
) }}

with

touched as (

    select distinct {{ day_of('start_time') }} as day
    from {{ ref('ingestion_log') }}
    where {{ is_claimed('load_id') }}
    union
    select distinct {{ day_of('fetched_at') }} as day
    from {{ ref('rejected_records') }}
    where {{ is_claimed('load_id') }}

),

days as (

    select
        day,
        {{ start_of('day') }} as day_start,
        {{ start_of('day + 1') }} as day_end
    from touched

),

pipeline as (

    select
        ---------- ids
        days.day,
        days.day_start,
        'fleet' as scope,
        'Fleet' as scope_value,

        ---------- measures
        calls.calls_count::integer as calls_count,
        (100.0 * calls.failed_count / nullif(calls.calls_count, 0))::numeric(5, 2)
            as failed_calls_pct,
        sweeps.longest_gap_min::numeric(9, 2) as longest_sweep_gap_min,
        rejected.rejected_count::integer as rejected_records_count
    from days
    inner join lateral (
        select
            count(*) as calls_count,
            count(*) filter (where not call.is_success) as failed_count
        from {{ ref('ingestion_log') }} as call
        where
            call.start_time >= days.day_start
            and call.start_time < days.day_end
    ) as calls on true
    inner join lateral ( -- noqa: ST05
        with gaps as (
            select
                call.start_time
                - lag(call.start_time) over (order by call.start_time) as gap
            from {{ ref('ingestion_log') }} as call
            where
                call.method = 'jimi.user.device.location.list'
                and call.is_success
                and call.start_time >= days.day_start
                and call.start_time < days.day_end
        )

        select max(extract(epoch from gap) / 60) as longest_gap_min
        from gaps
    ) as sweeps on true
    inner join lateral (
        select count(*) as rejected_count
        from {{ ref('rejected_records') }} as record
        where
            record.fetched_at >= days.day_start
            and record.fetched_at < days.day_end
    ) as rejected on true

)

select * from pipeline
