{{ config(
    incremental_strategy='keep_reports',
    unique_key=['imei', 'start_time', 'source'],
    indexes=[{'columns': ['imei', '(until_time - start_time)']}],
) }}

with

polled as (

    select
        ---------- ids
        imei,
        "startTime" as start_time,
        'poll' as source,
        1::smallint as source_rank,
        coalesce(
            "endTime", "startTime" + "durSecond" * interval '1 second'
        ) as end_time,
        case when acc then 'idling' when not acc then 'parked' end as kind,

        ---------- numerics
        -- FIX-M13: durSecond is the duration. The answer has no field `seconds`, and
        -- the meaning of stopSecond is unknown.
        -- FIX-N10: without durSecond, the stop's own times tell it.
        coalesce(
            "durSecond", {{ seconds_between('"startTime"', '"endTime"') }}
        )::integer as duration_s,

        ---------- place
        {{ coordinates('lat', 'lng') }},
        addr as address,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('parking_report') }} as parking

    where is_usable

),

imported as (

    select
        ---------- ids
        imei,
        start_time,
        'legacy' as source,
        0::smallint as source_rank,
        coalesce(end_time, start_time + duration_s * interval '1 second') as end_time,
        -- FIX-M13: a call with acc_type=0 asks for parked stops only.
        'parked' as kind,

        ---------- numerics
        coalesce(duration_s, {{ seconds_between('start_time', 'end_time') }})::integer
            as duration_s,

        ---------- place
        {{ coordinates_or_point('geom', latitude='lat', longitude='lng') }},
        address,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('legacy_parking_events') }} as parking

    where is_usable

),

stops as (

    select * from polled
    union all
    select * from imported

),

latest as (

    -- The API returns a stop that lasts again and again, with a longer duration each
    -- time. The newest copy is kept.
    select distinct on (imei, start_time, source)
        *,
        {{ until_time('end_time', 'duration_s') }} as until_time
    from stops
    order by
        imei asc, start_time asc, source asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
