{{ config(
    unique_key=['plate', 'service_day', 'kind'],
    precedence=['fetched_at', 'line_number', 'record_id', 'load_id'],
) }}

with

renamed as (

    select
        ---------- ids
        -- Only letters and digits of a plate are compared.
        upper(regexp_replace(plate, '[^A-Za-z0-9]', '', 'g')) as plate,
        date as service_day,
        coalesce(kind, 'service') as kind,

        ---------- numerics
        odometer::numeric(12, 3) as odometer_km,

        ---------- lineage
        request::json ->> 'file' as file_name,
        (request::json ->> 'line')::integer as line_number,
        fetched_at,
        record_id,
        load_id
    from {{ records('services') }} as service

    where is_usable

),

latest as (

    -- The last imported copy counts. Within a file it is the later line.
    select distinct on (plate, service_day, kind) *
    from renamed
    order by
        plate asc, service_day asc, kind asc, fetched_at desc, line_number desc,
        record_id desc, load_id desc

)

select * from latest
