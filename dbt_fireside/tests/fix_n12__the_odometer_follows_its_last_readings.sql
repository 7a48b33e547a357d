-- FIX-N12
-- Was:    an odometer went on from its old level after it was set, reset or replaced.
-- Holds:  on the newest two days, if the last two readings of a device fit each other,
--         its odometer is the last one; and the odometer of a vehicle is that of one of
--         its devices, if one of them has an odometer.

with

days as (

    select
        imei,
        vehicle_id,
        day,
        day_start,
        odometer_km
    from {{ ref('fact_daily_fleet_metrics') }}
    where
        day > (
            select max(newest.day) - 2
            from {{ ref('fact_daily_fleet_metrics') }} as newest
        )

),

readings as (

    select
        days.imei,
        days.day,
        trips.end_odometer_km as odometer_km,
        coalesce(trips.end_time, trips.start_time) as reading_time
    from days
    inner join {{ ref('trips') }} as trips
        on
            days.imei = trips.imei
            and days.day_start <= trips.start_time
            and days.day_start + interval '1 day' > trips.start_time
    where trips.end_odometer_km > 0
    union all
    select
        days.imei,
        days.day,
        fixes.odometer_km,
        fixes.gps_time as reading_time
    from days
    inner join {{ ref('position_history') }} as fixes
        on
            days.imei = fixes.imei
            and days.day_start <= fixes.gps_time
            and days.day_start + interval '1 day' > fixes.gps_time
    where fixes.odometer_km > 0

),

compared as (

    select
        *,
        lead(odometer_km) over newest_first as km_before,
        lead(reading_time) over newest_first as time_before,
        row_number() over newest_first as number
    from readings
    window newest_first as (
        partition by imei, day
        order by reading_time desc, odometer_km desc
    )

)

select
    days.imei as name,
    days.odometer_km,
    compared.odometer_km as last_reading_km
from days
inner join compared
    on
        days.imei = compared.imei
        and days.day = compared.day
        and compared.number = 1
where
    compared.reading_time > compared.time_before
    and compared.odometer_km between compared.km_before
    and compared.km_before + {{ rule('moved_distance') }} + {{ rule('fastest_car') }}
    * extract(epoch from compared.reading_time - compared.time_before) / 3600
    and days.odometer_km is distinct from compared.odometer_km
union all
select
    health.scope_value as name,
    health.odometer_km,
    max(days.odometer_km) as last_reading_km
from {{ ref('kpi_vehicle_health_daily') }} as health
inner join days
    on
        health.scope_value = days.vehicle_id
        and health.day = days.day
where
    health.scope = 'vehicle'
    and health.odometer_km is not null
    and days.odometer_km is not null
group by health.scope_value, health.day, health.odometer_km
having bool_and(days.odometer_km != health.odometer_km)
