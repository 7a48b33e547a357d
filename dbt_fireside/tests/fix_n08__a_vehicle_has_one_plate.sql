-- FIX-N08
-- Was:    devices with N/A for a plate were one vehicle, and a plate that was spelt in two
--         ways was two vehicles.
-- Holds:  devices with the same plate are in one vehicle, unless the seed vehicles names
--         another; and two devices of a vehicle have no two plates, unless it names them.

with

plates as (

    select
        imei,
        vehicle_id,
        {{ plate_key('plate') }} as plate_key
    from {{ ref('device_vehicles') }}
    where plate is not null

)

select
    plates.plate_key,
    others.imei
from plates
inner join plates as others
    on plates.imei != others.imei
where
    (plates.plate_key = others.plate_key) != (plates.vehicle_id = others.vehicle_id)
    and not exists (
        select from {{ ref('vehicles') }} as named
        where
            named.imei in (plates.imei, others.imei)
            and named.vehicle_id is not null
    )
