-- Question: How much of its shift does each vehicle drive?
-- Tag:      MONTHLY
-- Status:   Ready
-- Read:     The least used vehicle is first. A vehicle below half of its city's mean
--           could be shared. The length of the shift is assumed (see kpi_rules), and a
--           value above 100 % is overtime. Period: the last 28 days.

with

used as (

    select
        scope_value as vehicle_id,
        count(utilisation_pct) as days_count,
        sum(shift_driving_h) as shift_driving_h,
        sum(shift_h) as shift_h,
        sum(driving_h)::numeric(9, 1) as driving_h,
        sum(distance_km)::numeric(12, 1) as distance_km
    from {{ ref('kpi_fleet_utilisation_daily') }}
    where
        scope = 'vehicle'
        and day > (
            select max(newest.day) - 28
            from {{ ref('kpi_fleet_utilisation_daily') }} as newest
        )
    group by scope_value

)

select
    used.vehicle_id,
    vehicles.city,
    vehicles.vehicle_class,
    used.days_count,
    (100 * used.shift_driving_h / nullif(used.shift_h, 0))::numeric(6, 1)
        as utilisation_pct,
    (
        100 * sum(used.shift_driving_h) over (partition by vehicles.city)
        / nullif(sum(used.shift_h) over (partition by vehicles.city), 0)
    )::numeric(6, 1) as city_utilisation_pct,
    used.driving_h,
    used.distance_km
from used
inner join {{ ref('dim_vehicles') }} as vehicles
    on used.vehicle_id = vehicles.vehicle_id and vehicles.is_primary_device
order by utilisation_pct asc nulls last, used.vehicle_id asc
