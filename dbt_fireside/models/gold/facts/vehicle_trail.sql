{{ config(materialized='view') }}

{% set class_limit = "'speed_limit_' || vehicles.vehicle_class" %}

-- This view has no CTE, so that PostgreSQL merges it into the reader's query and can
-- use an index for the order and limit of the query.
select
    fixes.imei,
    fixes.gps_time,
    vehicles.vehicle_id,
    vehicles.is_primary_device,
    fixes.latitude,
    fixes.longitude,
    fixes.speed_kmh,
    speed_limit.value::numeric(7, 2) as speed_limit_kmh,
    case
        when fixes.speed_kmh > speed_limit.value then 3
        when fixes.speed_kmh > 0 then 2
        when fixes.speed_kmh is not null then 1
    end as speed_code,
    fixes.heading_deg,
    fixes.is_ignition_on
from {{ ref('position_history') }} as fixes
inner join {{ ref('dim_vehicles') }} as vehicles
    on fixes.imei = vehicles.imei
left join lateral {{ rule_for(class_limit, 'vehicles.city') }} as speed_limit
    on true
where {{ is_evidence('fixes') }}
