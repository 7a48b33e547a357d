-- Question: Who accelerates, brakes and corners harshly?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     The devices report a harsh manoeuvre by an alarm; their thresholds are set
--           in the devices. Manoeuvres in the trail are beside them, for vehicles whose
--           fixes are close enough to tell; the thresholds are assumed. Period: the
--           last 28 days.

select
    scope_value as vehicle_id,
    sum(distance_km) as distance_km,
    sum(harsh_driving_alarms_count) as harsh_driving_alarms_count,
    (
        100 * sum(harsh_driving_alarms_count) / sum(distance_km)
    )::numeric(9, 2) as harsh_driving_alarms_per_100km,
    sum(dense_distance_km) as dense_distance_km,
    sum(harsh_acceleration_count) as harsh_accelerations_count,
    sum(harsh_braking_count) as harsh_brakings_count,
    sum(harsh_cornering_count) as harsh_cornerings_count
from {{ ref('kpi_driver_behaviour_daily') }}
where
    scope = 'vehicle'
    and day > (
        select max(newest.day) - 28
        from {{ ref('kpi_driver_behaviour_daily') }} as newest
    )
group by scope_value
having sum(distance_km) > 0
order by harsh_driving_alarms_per_100km desc, vehicle_id asc
