{{ config(
    unique_key=['imei', 'heartbeat_time'],
    time_column='heartbeat_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

renamed as (

    select
        ---------- ids
        imei,
        "gateTime" as heartbeat_time,

        ---------- condition
        "powerLevel"::numeric(5, 2) as battery_pct,
        "gsmSign"::numeric(5, 2) as signal_pct,
        acc as is_ignition_on,
        "oilEle" as is_fuel_cut,
        "gpsPos" as has_gps_fix,
        "remoteLock" as is_locked,
        "powerStatus" as is_charging,
        fortify as is_armed,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_hb') }} as heartbeat

    where is_usable

),

latest as (

    select distinct on (imei, heartbeat_time) *
    from renamed
    order by
        imei asc, heartbeat_time asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
