-- FIX-N11
-- Was:    one wrong fix made a trail of thousands of km and moved the vehicle's day.
-- Holds:  in the newest 7 days, no GPS fix is far from the fix before it and from the
--         fix after it while no car could have driven either way, and the way between
--         those two is drivable.

with

steps as (

    select
        fix.imei,
        fix.gps_time,
        fix.latitude,
        fix.longitude,
        lag(fix.latitude) over trail as latitude_before,
        lag(fix.longitude) over trail as longitude_before,
        lag(fix.gps_time) over trail as time_before,
        lead(fix.latitude) over trail as latitude_after,
        lead(fix.longitude) over trail as longitude_after,
        lead(fix.gps_time) over trail as time_after
    from {{ ref('position_history') }} as fix
    where
        {{ is_evidence('fix') }}
        and fix.gps_time > (
            select max(newest.gps_time) - interval '7 days'
            from {{ ref('newest_fixes') }} as newest
        )
    window trail as (partition by fix.imei order by fix.gps_time)

)

select
    imei,
    gps_time,
    latitude,
    longitude
from steps
where
    {{ great_circle_km(
        'latitude::double precision', 'longitude::double precision',
        'latitude_before::double precision', 'longitude_before::double precision',
    ) }} > 1000 + extract(epoch from gps_time - time_before)
    and {{ great_circle_km(
        'latitude::double precision', 'longitude::double precision',
        'latitude_after::double precision', 'longitude_after::double precision',
    ) }} > 1000 + extract(epoch from time_after - gps_time)
