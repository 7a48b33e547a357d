-- Warns about imported services whose plate belongs to no vehicle. They count for no
-- vehicle.

{{ config(severity='warn') }}

select
    services.plate,
    services.service_day
from {{ ref('services') }} as services
where
    not exists (
        select from {{ ref('dim_vehicles') }} as vehicles
        where
            strpos(
                upper(
                    regexp_replace(
                        concat(vehicles.vehicle_id, vehicles.vehicle_number),
                        '[^A-Za-z0-9]', '', 'g'
                    )
                ),
                services.plate
            ) > 0
    )
