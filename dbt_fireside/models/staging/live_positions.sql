{{ config(materialized='view') }}

with

built as (

    select
        imei,
        gps_time,
        source,
        source_rank,
        latitude,
        longitude,
        position_type,
        is_late,
        satellites_count,
        signal_level,
        confidence_level,
        place,
        speed_kmh,
        heading_deg,
        is_ignition_on,
        odometer_km,
        external_voltage_v,
        battery_pct,
        temperature_c,
        heartbeat_time,
        fetched_at,
        record_id,
        load_id
    from {{ ref('newest_fixes') }}

),

{% for table in ['location_list', 'location_get'] %}
newest_{{ table }} as (

    -- One look into an index per device, so raw may be of any length.
    select landed.*
    from {{ ref('devices') }} as devices
    inner join lateral (
        select answer.*
        from {{ source('raw', table) }} as answer
        where
            answer.imei = devices.imei
            and exists (
                select from {{ source('raw', '_dlt_loads') }} as complete
                where
                    complete.load_id = answer._dlt_load_id
                    and complete.status = 0
            )
        order by answer.fetched_at desc
        limit 1
    ) as landed on true
    where
        -- Nothing is parsed that is built already. (A load that is settled late, with
        -- an old id, brings no news; the build takes it.)
        landed._dlt_load_id > (
            select coalesce(max(claim.load_id), '')
            from {{ claimed_loads() }} as claim
            where claim.model = 'newest_fixes'
        )

),
{% endfor %}

fixes as (

    select * from built
    {% for table in ['location_list', 'location_get'] %}
    union all
    {{ located_fixes(table, 'newest_' ~ table) }}
    {% endfor %}

),

newest as (

    select distinct on (imei) *
    from fixes
    order by imei asc, gps_time desc, source_rank desc, fetched_at desc

)

select * from newest
