-- Question: Which devices have fallen silent, and which have never reported?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     One row per device without a fresh fix, the longest silence first. If a
--           device has never reported, check its SIM and activation. If it is stale,
--           check its power, place and subscription.

select
    status.imei,
    status.vehicle_id,
    status.city,
    vehicles.device_model,
    status.freshness,
    status.gps_time,
    (status.fix_age_s / 3600.0)::numeric(9, 1) as fix_age_h,
    status.battery_pct,
    status.external_voltage_v,
    vehicles.activation_time,
    vehicles.expiration_time
from {{ ref('vehicle_status_now') }} as status
inner join {{ ref('dim_vehicles') }} as vehicles
    on status.imei = vehicles.imei
where status.freshness != 'fresh'
order by status.fix_age_s desc nulls first, status.imei asc
