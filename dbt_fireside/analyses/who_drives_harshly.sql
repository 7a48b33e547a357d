-- Question: Who accelerates, brakes and corners harshly?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     Harsh events are found in the trail. Its steps of 5 to 30 s smooth what the
--           device measures, so compare vehicles with each other and not with other
--           fleets. The vendor's alarms are beside them. The thresholds are assumed.
--           Period: the last 28 days.

with

events as (

    select
        vehicles.vehicle_id,
        count(*) filter (where events.kind = 'harsh_acceleration')
            as harsh_accelerations_count,
        count(*) filter (where events.kind = 'harsh_braking') as harsh_brakings_count,
        count(*) filter (where events.kind = 'harsh_cornering')
            as harsh_cornerings_count
    from {{ ref('fact_driving_events') }} as events
    inner join {{ ref('dim_vehicles') }} as vehicles
        on events.imei = vehicles.imei and vehicles.is_primary_device
    where
        events.day > (
            select max(newest.day) - 28
            from {{ ref('fact_daily_fleet_metrics') }} as newest
        )
    group by vehicles.vehicle_id

),

driven as (

    select
        vehicle_id,
        sum(distance_km) as distance_km,
        sum(harsh_driving_alarms_count) as harsh_driving_alarms_count
    from {{ ref('fact_daily_fleet_metrics') }}
    where
        is_primary_device
        and day > (
            select max(newest.day) - 28
            from {{ ref('fact_daily_fleet_metrics') }} as newest
        )
    group by vehicle_id
    having sum(distance_km) > 0

)

select
    driven.vehicle_id,
    driven.distance_km,
    coalesce(events.harsh_accelerations_count, 0) as harsh_accelerations_count,
    coalesce(events.harsh_brakings_count, 0) as harsh_brakings_count,
    coalesce(events.harsh_cornerings_count, 0) as harsh_cornerings_count,
    (
        100 * coalesce(
            events.harsh_accelerations_count
            + events.harsh_brakings_count
            + events.harsh_cornerings_count,
            0
        ) / driven.distance_km
    )::numeric(9, 2) as harsh_events_per_100km,
    driven.harsh_driving_alarms_count
from driven
left join events
    on driven.vehicle_id = events.vehicle_id
order by harsh_events_per_100km desc, driven.vehicle_id asc
