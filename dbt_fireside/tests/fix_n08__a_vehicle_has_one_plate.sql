-- FIX-N08
-- Was:    devices with N/A for a plate were one vehicle, and a plate that was spelt in
--         two ways was two vehicles.
-- Holds:  devices are in one vehicle if they have one plate, and not if they have two
--         plates; and a plate has a digit other than 0. Devices with a vehicle_id in
--         the seed vehicles are left out.

with

plates as (

    select
        device.vehicle_id,
        -- Without the macro plate_key(), so that this test sees a fault of the macro.
        upper(regexp_replace(device.plate, '[^[:alnum:]]', '', 'g')) as plate_key
    from {{ ref('device_vehicles') }} as device
    where
        device.plate is not null
        and not exists (
            select from {{ ref('vehicles') }} as seed_row
            where
                seed_row.imei = device.imei
                and seed_row.vehicle_id is not null
        )

)

select
    plate_key as name,
    'several vehicles' as problem
from plates
group by plate_key
having count(distinct vehicle_id) > 1
union all
select
    vehicle_id as name,
    'several plates' as problem
from plates
group by vehicle_id
having count(distinct plate_key) > 1
union all
select
    plate_key as name,
    'no plate' as problem
from plates
where plate_key !~ '[1-9]'
