-- Question: Which trackers lose power, run low or are tampered with?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     One row per vehicle, the most suspicious first. If power is cut far from a
--           depot, call the driver. If a battery is low, send the vehicle to a
--           workshop. Period: the last 28 days.

select
    health.scope_value as vehicle_id,
    vehicles.city,
    vehicles.driver_name,
    sum(health.tamper_alarms_count) as tamper_alarms_count,
    sum(health.power_alarms_count) as power_alarms_count,
    min(health.min_battery_pct) as min_battery_pct,
    min(health.min_external_voltage_v) as min_external_voltage_v,
    sum(health.fault_codes_count) as fault_codes_count
from {{ ref('kpi_vehicle_health_daily') }} as health
inner join {{ ref('dim_vehicles') }} as vehicles
    on health.scope_value = vehicles.vehicle_id and vehicles.is_primary_device
where
    health.scope = 'vehicle'
    and health.day > (
        select max(newest.day) - 28
        from {{ ref('kpi_vehicle_health_daily') }} as newest
    )
group by health.scope_value, vehicles.city, vehicles.driver_name
order by
    tamper_alarms_count desc nulls last,
    power_alarms_count desc nulls last,
    vehicle_id asc
