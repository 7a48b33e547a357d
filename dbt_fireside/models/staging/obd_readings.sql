{{ config(
    unique_key=['imei', 'reading_time'],
    time_column='reading_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

renamed as (

    -- The readings stand in the record, in an inner object or in one written as text;
    -- the payload is published nowhere, see vendor_fields().
    select
        ---------- ids
        imei,
        coalesce("dataReportTime", "gateTime") as reading_time,

        ---------- numerics
        "currentRPM"::numeric(8, 2) as engine_speed_rpm,
        "currentSpeed"::numeric(6, 2) as speed_kmh,
        "coolantTemperature"::numeric(6, 2) as coolant_temperature_c,
        "remainingFuelPercentage"::numeric(5, 2) as fuel_pct,
        "remainingFuel"::numeric(12, 3) as fuel_l,
        "odometerReading"::numeric(12, 3) as odometer_km,
        "deviceAccumulatedMileage"::numeric(12, 3) as device_distance_km,
        -- The vendor's example of 118 can only be tenths: no vehicle has 60 V.
        (
            case
                when "vehicleBatterVoltage" >= 60 then "vehicleBatterVoltage" / 10
                else "vehicleBatterVoltage"
            end
        )::numeric(7, 3) as battery_voltage_v,
        vin as vehicle_vin,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_obd') }} as reading

    where is_usable

),

latest as (

    select distinct on (imei, reading_time) *
    from renamed
    order by
        imei asc, reading_time asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
