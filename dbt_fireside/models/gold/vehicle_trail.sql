{{ config(materialized='view') }}

with

trail as (

    select
        fixes.imei,
        fixes.gps_time,
        vehicles.vehicle_id,
        vehicles.is_primary_device,
        fixes.latitude,
        fixes.longitude,
        fixes.speed_kmh,
        fixes.heading_deg,
        fixes.is_ignition_on
    from {{ ref('position_history') }} as fixes
    inner join {{ ref('dim_vehicles') }} as vehicles
        on fixes.imei = vehicles.imei

)

select * from trail
