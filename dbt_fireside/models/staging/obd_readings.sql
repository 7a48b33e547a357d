{{ config(
    unique_key=['imei', 'reading_time'],
    time_column='reading_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

renamed as (

    -- The vendor does not publish the payload. The readings may be in the record
    -- itself, in an inner object, or in JSON as text (see vendor_fields()).
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
        -- The vendor's example has 118, which can only be tenths of volts, because no
        -- vehicle has 60 V or more.
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
