{{ config(materialized='view') }}

with

trips as (

    select
        'trip' as kind,
        report.imei,
        report.start_time,
        report.end_time,
        report.source,
        report.source_rank,
        report.distance_km,
        report.driving_time_s as duration_s,
        report.fetched_at,
        better.start_time as better_start_time,
        better.end_time as better_end_time,
        better.source as better_source,
        better.source_rank as better_source_rank,
        better.fetched_at as better_fetched_at
    from {{ ref('trip_reports') }} as report
    inner join lateral {{ better_report('trip_reports', 'report') }} as better on true

),

stops as (

    select
        coalesce(report.kind, 'stop') as kind,
        report.imei,
        report.start_time,
        report.end_time,
        report.source,
        report.source_rank,
        null::numeric(9, 3) as distance_km,
        report.duration_s,
        report.fetched_at,
        better.start_time as better_start_time,
        better.end_time as better_end_time,
        better.source as better_source,
        better.source_rank as better_source_rank,
        better.fetched_at as better_fetched_at
    from {{ ref('parking_reports') }} as report
    inner join lateral {{ better_report(
        'parking_reports', 'report', same=['kind']
    ) }} as better on true

),

reports as (

    select * from trips
    union all
    select * from stops

),

explained as (

    select
        imei,
        {{ day_of('start_time') }} as day,
        kind,
        start_time,
        end_time,
        source,
        distance_km,
        duration_s,
        fetched_at,
        case
            when better_source_rank > source_rank
                then 'a better source reports this time'
            else 'reported again later'
        end as reason,
        better_start_time,
        better_end_time,
        better_source,
        better_fetched_at
    from reports

)

select * from explained
