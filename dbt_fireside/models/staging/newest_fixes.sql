{{ config(
    unique_key=['imei'],
    reads_from=['position_history'],
    precedence=['gps_time', 'source_rank', '-fetched_at', '-record_id', '-load_id'],
    indexes=[{'columns': ['load_id']}],
    pre_hook='{{ forget_judged_fixes() }}',
) }}

with

devices as (

    select distinct imei
    from {{ ref('position_history') }}
    where
        {{ is_claimed('load_id') }}
        and {{ is_read_since('gps_time', 'position_history') }}

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
    from devices
    inner join lateral {{ last_place('devices.imei', "'infinity'") }} as fix on true

)

select * from fixes
order by imei
