{{ config(
    unique_key=['imei', 'reading_time', 'sensor'],
    time_column='reading_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

typed as (

    select
        *,
        -- PUSH-02: /pushoil sends the unit as a number, and the vendor publishes no
        -- list of these numbers. The only sample uses 1 for litres, so 1 is read as l.
        -- Any other code is kept as text.
        case
            when lower(unit) in ('1', 'l', 'litre', 'litres', 'liter', 'liters')
                then 'l'
            when lower(unit) in ('%', 'percent', 'pct') then '%'
            else unit
        end as unit_name
    from {{ records('push_oil') }} as reading

    where is_usable

),

renamed as (

    select
        ---------- ids
        imei,
        "gateTime" as reading_time,
        coalesce(sensor, 'unnamed') as sensor,

        ---------- numerics
        value::numeric(12, 3) as fuel_level,
        unit_name as unit,
        unit as unit_code,
        case when unit_name = 'l' then value end::numeric(12, 3) as fuel_l,
        case when unit_name = '%' then value end::numeric(12, 3) as fuel_pct,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from typed

),

latest as (

    select distinct on (imei, reading_time, sensor) *
    from renamed
    order by
        imei asc, reading_time asc, sensor asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
