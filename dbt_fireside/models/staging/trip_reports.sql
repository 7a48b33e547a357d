{{ config(
    incremental_strategy='keep_reports',
    unique_key=['imei', 'start_time', 'source'],
    indexes=[{'columns': ['imei', '(until_time - start_time)']}, {'columns': ['load_id']}],
) }}

with

polled as (

    select
        imei,
        "startTime" as start_time,
        "endTime" as end_time,
        'poll' as source,
        3 as source_rank,
        -- FIX-M16: the API sends metres, whatever its documents say.
        -- FIX-M11: nothing is multiplied; the old system stored millimetres.
        distance / 1000 as distance_km,
        -- FIX-N10: without a driving time, the trip's own times tell it.
        coalesce(
            "runTimeSecond", elapsed, {{ seconds_between('"startTime"', '"endTime"') }}
        ) as driving_time_s,
        "avgSpeed" as avg_speed_kmh,
        -- BUG-03: maxSpeed is in the vendor's answers, but not in its documents.
        "maxSpeed" as max_speed_kmh,
        {{ coordinates('startLat', 'startLng', 'start_') }},
        {{ coordinates('endLat', 'endLng', 'end_') }},
        "startMileage" / 1000 as start_odometer_km,
        "endMileage" / 1000 as end_odometer_km,
        null::jsonb as extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('track_mileage') }} as trip

    where is_usable

),

pushed as (

    select
        imei,
        "startTime" as start_time,
        "endTime" as end_time,
        'push' as source,
        2 as source_rank,
        distance / 1000 as distance_km,
        coalesce(
            "runTimeSecond", {{ seconds_between('"startTime"', '"endTime"') }}
        ) as driving_time_s,
        "avgSpeed" as avg_speed_kmh,
        "maxSpeed" as max_speed_kmh,
        {{ coordinates('startLat', 'startLng', 'start_') }},
        {{ coordinates('endLat', 'endLng', 'end_') }},
        "startMileage" / 1000 as start_odometer_km,
        "endMileage" / 1000 as end_odometer_km,
        extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('push_tripreport') }} as trip

    where is_usable

),

imported as (

    select
        imei,
        start_time,
        end_time,
        'legacy' as source,
        1 as source_rank,
        -- BUG-02: the old distance_m holds millimetres, and some rows of distance_km
        -- hold metres.
        {{ legacy_distance_km() }} as distance_km,
        coalesce(driving_time_s, {{ seconds_between('start_time', 'end_time') }})
            as driving_time_s,
        avg_speed_kmh,
        max_speed_kmh,
        {{ coordinates_or_point('start_geom', 'start_') }},
        {{ coordinates_or_point('end_geom', 'end_') }},
        null::numeric as start_odometer_km,
        null::numeric as end_odometer_km,
        null::jsonb as extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('legacy_trips') }} as trip

    where is_usable

),

reported as (

    select * from polled
    union all
    select * from pushed
    union all
    select * from imported

),

typed as (

    select
        ---------- ids
        imei,
        start_time,
        end_time,
        {{ until_time('end_time', 'driving_time_s') }} as until_time,
        source,
        source_rank::smallint as source_rank,

        ---------- numerics
        -- FIX-N10: without a distance, the odometer tells it if a car can drive so far.
        coalesce(
            distance_km,
            case
                when
                    end_odometer_km >= start_odometer_km
                    and {{ is_possible_km('(end_odometer_km - start_odometer_km)') }}
                    then end_odometer_km - start_odometer_km
            end
        )::numeric(9, 3) as distance_km,
        driving_time_s::integer as driving_time_s,
        avg_speed_kmh::numeric(6, 2) as avg_speed_kmh,
        max_speed_kmh::numeric(6, 2) as max_speed_kmh,
        start_odometer_km::numeric(12, 3) as start_odometer_km,
        end_odometer_km::numeric(12, 3) as end_odometer_km,

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

    from reported

),

latest as (

    -- The API returns a running trip again and again; the newest copy is kept.
    select distinct on (imei, start_time, source) *
    from typed
    order by
        imei asc, start_time asc, source asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
