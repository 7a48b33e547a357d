{{ config(
    incremental_strategy='upsert_best',
    unique_key=['day', 'scope', 'scope_value'],
    reads_from=['ingestion_log', 'rejected_records'],
) }}

with

new_calls as (

    select min(start_time) as first_time
    from {{ ref('ingestion_log') }}
    where {{ is_claimed('load_id') }}

),

bounds as (

    -- A successful call ends the gap before it, which may have begun days ago.
    select
        coalesce(
            (
                select max(call.start_time) from {{ ref('ingestion_log') }} as call
                where call.start_time < new_calls.first_time
            ),
            new_calls.first_time
        ) as changed_from_time,
        (
            select max(call.start_time) from {{ ref('ingestion_log') }} as call
        ) as newest_time,
        (
            select min(call.start_time) from {{ ref('ingestion_log') }} as call
            where
                call.method = 'jimi.user.device.location.list'
                and call.is_success
        ) as first_sweep_time
    from new_calls

),

changed_days as (

    select
        generate_series(
            {{ day_of('changed_from_time') }},
            {{ day_of('newest_time') }},
            interval '1 day'
        )::date as day
    from bounds
    union
    select distinct {{ day_of('fetched_at') }} as day
    from {{ ref('rejected_records') }}
    where
        {{ is_claimed('load_id') }}
        and source != 'position_history'

),

days as (

    select
        day,
        {{ start_of('day') }} as day_start,
        {{ start_of('day + 1') }} as day_end
    from changed_days

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
        calls.failed_count::integer as failed_calls_count,
        (100.0 * calls.failed_count / nullif(calls.calls_count, 0))::numeric(5, 2)
            as failed_calls_pct,
        sweeps.longest_gap_min::numeric(9, 2) as longest_sweep_gap_min,
        rejected.rejected_count::integer as rejected_records_count
    from days
    cross join bounds
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
        with sweeps_and_edges as (
            select call.start_time as moment
            from {{ ref('ingestion_log') }} as call
            where
                call.method = 'jimi.user.device.location.list'
                and call.is_success
                and call.start_time >= days.day_start
                and call.start_time < days.day_end
            union all
            -- A gap over midnight counts on both days, on each with its length on that
            -- day.
            select edge.moment
            from (
                values (days.day_start), (least(days.day_end, bounds.newest_time))
            ) as edge (moment)
            where
                edge.moment >= days.day_start
                and edge.moment > bounds.first_sweep_time
        ),

        gaps as (
            select moment - lag(moment) over (order by moment) as gap
            from sweeps_and_edges
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
            -- A refused place is no fault of the delivery, and may be believed later.
            and record.source != 'position_history'
    ) as rejected on true

)

select * from pipeline
