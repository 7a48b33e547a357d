-- FIX-N10
-- Was:    a trip without a distance was 0 km and a trip without a driving time 0 s,
--         even if its odometer readings and its times were known.
-- Holds:  no trip and no stop of the newest 30 days lacks what its own fields tell.

with

since as (

    select max(start_time) - interval '30 days' as start_time
    from {{ ref('trips') }}

),

trips as (

    select
        imei,
        start_time
    from {{ ref('trips') }}
    where
        start_time > (select since.start_time from since)
        and (
            (driving_time_s is null and end_time >= start_time)
            or (
                distance_km is null
                and end_odometer_km >= start_odometer_km
                and {{ is_possible_km('(end_odometer_km - start_odometer_km)') }}
            )
        )

),

stops as (

    select
        imei,
        start_time
    from {{ ref('parking_events') }}
    where
        start_time > (select since.start_time from since)
        and duration_s is null
        and end_time >= start_time

)

select * from trips
union all
select * from stops
