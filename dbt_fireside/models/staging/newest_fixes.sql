{{ config(
    unique_key=['imei'],
    reads_from=['position_history'],
    precedence=['gps_time', 'source_rank', '-fetched_at', '-record_id', '-load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

with

newest as (

    select
        imei,
        max(gps_time) as gps_time
    from {{ ref('position_history') }}
    where
        {{ is_claimed('load_id') }}
        and {{ is_read_since('gps_time', 'position_history') }}
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
    inner join lateral (
        select kept.*
        from {{ ref('position_history') }} as kept
        where
            kept.imei = newest.imei
            and kept.gps_time = newest.gps_time
        order by kept.gps_time
        limit 1
    ) as fix on true

)

select * from fixes
order by imei
