{{ config(
    unique_key=['imei', 'start_time'],
    indexes=[{'columns': ['start_time']}, {'columns': ['load_id']}],
) }}

with

renamed as (

    select
        ---------- ids
        imei,
        "startTime" as start_time,
        coalesce(
            "endTime", "startTime" + "durSecond" * interval '1 second'
        ) as end_time,
        case when acc then 'idling' when not acc then 'parked' end as kind,

        ---------- numerics
        -- FIX-M13: durSecond is the duration; seconds does not exist in the answer and
        -- stopSecond is unexplained.
        "durSecond"::integer as duration_s,

        ---------- place
        {{ place('lat', 'lng') }},
        addr as address,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('parking_report') }} as parking

    where is_usable

),

latest as (

    -- A stop that goes on is returned again, longer each time; keep its newest copy.
    select distinct on (imei, start_time) *
    from renamed
    order by imei asc, start_time asc, fetched_at desc, record_id desc, load_id desc

)

select * from latest
