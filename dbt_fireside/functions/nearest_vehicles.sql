select
    status.vehicle_id,
    status.city,
    status.driver_name,
    ({{ great_circle_km(
        'status.latitude::double precision',
        'status.longitude::double precision',
        'at_latitude',
        'at_longitude',
    ) }})::numeric(9, 3) as distance_km,
    status.fix_age_s,
    status.speed_kmh,
    status.is_ignition_on,
    status.latitude,
    status.longitude
-- The name of the view omits the database, because PostgreSQL parses this text again in a
-- copy of the database.
from {{ ref('vehicle_status_now').include(database=false) }} as status
where
    status.is_primary_device
    and status.freshness = 'fresh'
order by distance_km asc, status.vehicle_id asc
limit most
