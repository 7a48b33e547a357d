-- FIX-N08
-- Was:    devices with N/A for a plate were one vehicle, and a plate that was spelt in
--         two ways was two vehicles.
-- Holds:  devices are in one vehicle if they have one plate, and not if they have two
--         plates. Devices with a vehicle_id in the seed vehicles are left out.

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
    other_plates.imei
from plates
inner join plates as other_plates
    on plates.imei != other_plates.imei
where
    (plates.plate_key = other_plates.plate_key)
    != (plates.vehicle_id = other_plates.vehicle_id)
    and not exists (
        select from {{ ref('vehicles') }} as seed_row
        where
            seed_row.imei in (plates.imei, other_plates.imei)
            and seed_row.vehicle_id is not null
    )
