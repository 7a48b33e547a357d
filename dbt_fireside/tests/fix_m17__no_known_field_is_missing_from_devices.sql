-- FIX-M17
-- Was:    the device sync kept 5 fields up to date; a changed driver or plate never
--         came.
-- Holds:  the newest value of every field of every device stands in devices.

with

attributes as (

    select
        imei,
        attribute,
        value
    from {{ ref('device_attributes') }}

),

devices as (

    select
        imei,
        fuel_l_per_100km,
        to_jsonb(device) as known
    from {{ ref('devices') }} as device

)

select
    attributes.imei,
    attributes.attribute,
    attributes.value
from attributes
left join devices
    on attributes.imei = devices.imei
where
    case
        when attributes.attribute = 'fuel_100km'
            then devices.fuel_l_per_100km is distinct from attributes.value::numeric
        else not exists (
            select from jsonb_each_text(devices.known) as field
            where field.value = attributes.value
        )
    end
