{{ config(
    unique_key=['job_id'],
    precedence=['fetched_at', 'line_number', 'record_id', 'load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

with

renamed as (

    select
        ---------- ids
        job_id,
        repeat_of,

        ---------- the job
        service_type,
        customer_class,
        city,
        technician,
        vehicle,

        ---------- timestamps, UTC
        created as created_time,
        dispatched as dispatched_time,
        arrived as arrived_time,
        closed as closed_time,

        ---------- place
        {{ coordinates('lat', 'lng') }},

        ---------- lineage
        request::json ->> 'file' as file_name,
        (request::json ->> 'line')::integer as line_number,
        fetched_at,
        record_id,
        load_id

    from {{ records('jobs') }} as job

    where is_usable

),

latest as (

    -- Each export lists a job again. If one file has two lines for a job, the later
    -- line counts.
    select distinct on (job_id) *
    from renamed
    order by
        job_id asc, fetched_at desc, line_number desc, record_id desc, load_id desc

)

select * from latest
