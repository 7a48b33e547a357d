{{ config(
    unique_key=['imei', 'reading_time', 'sensor'],
    time_column='reading_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

renamed as (

    -- PUSH-03: readings of /pushtem. The vendor does not publish the payload (see
    -- vendor_fields()).
    select
        ---------- ids
        imei,
        "gateTime" as reading_time,
        coalesce(sensor, 'unnamed') as sensor,

        ---------- numerics
        temperature::numeric(6, 2) as temperature_c,
        humidity::numeric(5, 2) as humidity_pct,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_tem') }} as reading

    where is_usable

),

latest as (

    select distinct on (imei, reading_time, sensor) *
    from renamed
    order by
        imei asc, reading_time asc, sensor asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
