{{ config(
    incremental_strategy='replace_counted',
    unique_key=['imei', 'start_time'],
    reports='parking_reports',
    reads_from=['parking_reports'],
    indexes=[
        {'columns': ['start_time']},
        {'columns': ['imei', '(end_time - start_time)']},
    ],
) }}

with

changed as (

    {{ spans_of_changed_reports('parking_reports') }}

),

reports as (

    select report.*
    from changed
    inner join lateral {{ starting_between(
        'parking_reports', 'changed.imei', 'changed.from_time', 'changed.to_time'
    ) }} as report on true

),

counted as (

    -- FIX-N01: a stop that is reported again with another start, merged or split
    -- counts once, among the stops of its kind.
    select
        ---------- ids
        imei,
        start_time,
        source,
        source_rank,
        end_time,
        kind,

        ---------- numerics
        duration_s,

        ---------- place
        latitude,
        longitude,
        address,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from reports
    where not exists {{ better_report('parking_reports', 'reports', same=['kind']) }}

)

select * from counted
