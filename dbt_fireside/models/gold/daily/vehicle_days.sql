{{ config(materialized='view') }}

-- This view has no CTE, so that PostgreSQL merges it into the reader's query and can
-- use an index for the order and limit of the query.
select
    ---------- ids
    metrics.day,
    metrics.day_start,
    metrics.vehicle_id,

    ---------- groups
    metrics.city,
    metrics.cost_centre,
    metrics.vehicle_class,
    vehicles.driver_name,

    ---------- measures
    metrics.has_reported,
    metrics.is_never_reported,
    -- FIX-N10: null if the vehicle drove and nobody knows how far.
    coalesce(
        metrics.distance_km >= {{ rule('moved_distance') }},
        case when coalesce(metrics.trips_count, 0) = 0 then false end
    ) as has_moved,
    metrics.trips_count,
    metrics.distance_km,
    (metrics.driving_time_s / 3600.0)::numeric(9, 2) as driving_h,
    (metrics.idle_time_s / 3600.0)::numeric(9, 2) as idle_h,
    metrics.utilisation_pct,
    metrics.max_speed_kmh,
    metrics.alarms_count,
    metrics.first_movement_time,
    metrics.last_movement_time,
    metrics.odometer_km,
    metrics.fuel_est_l
from {{ ref('fact_daily_fleet_metrics') }} as metrics
left join {{ ref('dim_vehicles') }} as vehicles
    on metrics.imei = vehicles.imei
where
    metrics.is_primary_device
    and metrics.is_in_service
