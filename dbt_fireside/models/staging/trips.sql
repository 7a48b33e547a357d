{{ config(
    incremental_strategy='replace_counted',
    unique_key=['imei', 'start_time'],
    reports='trip_reports',
    reads_from=['trip_reports'],
    indexes=[
        {'columns': ['start_time']},
        {'columns': ['imei', '(end_time - start_time)']},
    ],
) }}

with

changed as (

    {{ spans_of_changed_reports('trip_reports') }}

),

reports as (

    select report.*
    from changed
    inner join lateral {{ starting_between(
        'trip_reports', 'changed.imei', 'changed.from_time', 'changed.to_time'
    ) }} as report on true

),

counted as (

    -- FIX-N01: a trip that is reported again with another start, merged or split
    -- counts once. A poll, which has more fields, is better than a push, and the old
    -- system comes last.
    select
        ---------- ids
        imei,
        start_time,
        end_time,
        source,
        source_rank,

        ---------- numerics
        distance_km,
        driving_time_s,
        avg_speed_kmh,
        max_speed_kmh,
        start_odometer_km,
        end_odometer_km,

        ---------- places
        start_latitude,
        start_longitude,
        end_latitude,
        end_longitude,
        extra,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from reports
    where not exists {{ better_report('trip_reports', 'reports') }}

)

select * from counted
