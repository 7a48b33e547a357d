{{ config(incremental_strategy='replace_all') }}

with

attributes as (

    select * from {{ ref('device_attributes') }}

),

vehicles as (

    select * from {{ ref('device_vehicles') }}

),

periods as (

    select *
    from {{ ref('vehicle_periods') }}
    where
        {{ day_of('now()') }} >= valid_from
        and {{ day_of('now()') }} < valid_to

),

described as (

    select
        imei,
        jsonb_object_agg(attribute, value) as known
    from attributes
    group by imei

),

renamed as (

    -- FIX-M17: all 26 fields are read; the old sync updated only five of them.
    select
        described.imei,
        field."deviceName" as device_name,
        field."mcType" as device_model,
        field."machineName" as machine_name,
        field."mcTypeUseScope" as usage_scope,
        field.sim,
        field.iccid,
        field.imsi,
        field."activationTime" as activation_time,
        field.expiration as expiration_time,
        field."enabledFlag" as is_enabled,
        field.status,
        field."reMark" as remark,
        field."vehicleName" as vehicle_name,
        field."vehicleIcon" as vehicle_icon,
        field."vehicleNumber" as vehicle_number,
        field."vehicleModels" as vehicle_model,
        field."carFrame" as vehicle_vin,
        field."engineNumber" as engine_number,
        field."driverName" as driver_name,
        field."driverPhone" as driver_phone,
        field."deviceGroupId" as device_group_id,
        field."deviceGroup" as device_group,
        field.account,
        field."customerName" as customer_name,
        field.fuel_100km as fuel_l_per_100km
    from described
    cross join lateral jsonb_to_record(described.known) as field (
        "deviceName" text,
        "mcType" text,
        "machineName" text,
        "mcTypeUseScope" text,
        sim text,
        iccid text,
        imsi text,
        "activationTime" timestamptz,
        expiration timestamptz,
        "enabledFlag" boolean,
        status text,
        "reMark" text,
        "vehicleName" text,
        "vehicleIcon" text,
        "vehicleNumber" text,
        "vehicleModels" text,
        "carFrame" text,
        "engineNumber" text,
        "driverName" text,
        "driverPhone" text,
        "deviceGroupId" text,
        "deviceGroup" text,
        account text,
        "customerName" text,
        fuel_100km numeric(6, 2)
    )

),

with_vehicle as (

    -- The vendor does not know vehicles, only devices.
    select
        renamed.*,
        vehicles.plate,
        vehicles.vehicle_id,
        periods.vehicle_class,
        periods.assigned_city,
        periods.cost_centre,
        periods.fuel_norm_l_per_100km
    from renamed
    inner join vehicles
        on renamed.imei = vehicles.imei
    inner join periods
        on vehicles.vehicle_id = periods.vehicle_id

)

select * from with_vehicle
