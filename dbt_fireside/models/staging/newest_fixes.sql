{{ config(
    unique_key=['imei'],
    takes_from=['position_history'],
    precedence=['gps_time', 'source_rank', '-fetched_at', '-record_id', '-load_id'],
) }}

with

newest as (

    select
        imei,
        max(gps_time) as gps_time
    from {{ ref('position_history') }}
    where {{ is_claimed('load_id') }}
    group by imei

),

fixes as (

    select
        fix.imei,
        fix.gps_time,
        fix.source,
        fix.source_rank,
        fix.latitude,
        fix.longitude,
        fix.position_type,
        fix.is_late,
        fix.satellites_count,
        fix.signal_level,
        fix.confidence_level,
        fix.place,
        fix.speed_kmh,
        fix.heading_deg,
        fix.is_ignition_on,
        fix.odometer_km,
        fix.external_voltage_v,
        fix.battery_pct,
        fix.temperature_c,
        fix.heartbeat_time,
        fix.fetched_at,
        fix.record_id,
        fix.load_id
    from newest
    inner join {{ ref('position_history') }} as fix
        on
            newest.imei = fix.imei
            and newest.gps_time = fix.gps_time

)

select * from fixes
