{{ config(incremental_strategy='replace_all') }}

with

attributes as (

    select * from {{ ref('device_attributes') }}

),

named as (

    -- What people have typed for a vehicle: its row in the seed vehicles, its plate, or
    -- its plate in the name of the device.
    select
        imei,
        regexp_replace(value, '[\s\u00A0]+', ' ', 'g') as spelling,
        case attribute when 'vehicleNumber' then 2 else 3 end as source_rank
    from attributes
    where
        attribute in ('vehicleNumber', 'deviceName')
        -- PostgreSQL cannot index a key of several kilobytes.
        and octet_length(value) <= 100
    union all
    select
        imei,
        max(vehicle_id) as spelling,
        1 as source_rank
    from {{ ref('vehicles') }}
    where vehicle_id is not null
    group by imei

),

normalised as (

    select
        *,
        coalesce(nullif({{ plate_key('spelling') }}, ''), spelling) as vehicle_key
    from named

),

believed as (

    -- FIX-N08: people type N/A, -, 0 or TBA where a plate is missing. A plate has a
    -- digit other than 0, is no row of digits such as 123, and is not in the seed
    -- placeholder_plates, with or without a number (Test 2). A name that is a model of
    -- devices is no plate.
    select *
    from normalised
    where
        source_rank = 1
        or (
            vehicle_key ~ '[1-9]'
            and vehicle_key !~ '^(.)\1*$'
            and position(vehicle_key in '01234567890123456789') = 0
            and not exists (
                select from {{ ref('placeholder_plates') }} as known
                where
                    {{ plate_key('known.plate') }} in (
                        normalised.vehicle_key,
                        regexp_replace(normalised.vehicle_key, '[0-9]+$', '')
                    )
            )
            and (
                source_rank = 2
                or not exists (
                    select from attributes as known
                    where
                        known.attribute in ('mcType', 'machineName')
                        and starts_with(upper(known.value), normalised.vehicle_key)
                )
            )
        )

),

per_device as (

    select
        devices.imei,
        max(believed.vehicle_key) filter (where believed.source_rank = 1) as seed_key,
        (
            array_agg(believed.vehicle_key order by believed.source_rank)
            filter (where believed.source_rank > 1)
        )[1] as plate_key,
        max(believed.spelling) filter (where believed.source_rank = 2) as plate
    from (select distinct attributes.imei from attributes) as devices
    left join believed
        on devices.imei = believed.imei
    group by devices.imei

),

linked as (

    -- Both devices of a vehicle have its plate. A seed row of one of them names the
    -- vehicle of both. A device without a plate is its own vehicle.
    select
        *,
        coalesce(
            seed_key,
            case
                when plate_key is not null
                    then min(seed_key) over (partition by plate_key)
            end,
            plate_key,
            imei
        ) as vehicle_key
    from per_device

),

spelled as (

    -- Of several spellings of a plate the longest counts: KDB 168K before KDB168K.
    select distinct on (linked.vehicle_key)
        linked.vehicle_key,
        believed.spelling as vehicle_id
    from linked
    inner join believed
        on linked.imei = believed.imei
    order by
        linked.vehicle_key asc,
        believed.source_rank asc,
        length(believed.spelling) desc,
        upper(believed.spelling) != believed.spelling asc,
        believed.spelling asc

),

device_vehicles as (

    select
        linked.imei,
        -- A device without a plate has its own name if no other device has this name.
        coalesce(
            spelled.vehicle_id,
            case
                when
                    count(*) over (partition by unplated.value) = 1
                    and octet_length(unplated.value) <= 100
                    and unplated.value ~ '[[:alpha:]]{2}'
                    then unplated.value
            end,
            linked.imei
        ) as vehicle_id,
        linked.plate
    from linked
    left join spelled
        on linked.vehicle_key = spelled.vehicle_key
    left join attributes as unplated
        on
            linked.imei = unplated.imei
            and unplated.attribute = 'deviceName'

)

select * from device_vehicles
