{{ config(unique_key=['fence_id']) }}

with

listed as (

    select * from {{ records('fence_list') }} as fence
    union all
    select * from {{ records('fence_detail') }} as fence

),

renamed as (

    select
        ---------- ids
        fence_id,
        fence_name,
        fence_type,
        account,
        description,

        ---------- shape
        -- The vendor writes the latitude first. In PostgreSQL the first coordinate (x)
        -- is the longitude.
        rtrim(
            regexp_replace(
                coordinates,
                '\s*([-0-9.]+)\s*,\s*([-0-9.]+)\s*;?\s*',
                '(\2,\1),',
                'g'
            ),
            ','
        ) as points,
        (radius / 1000)::numeric(9, 3) as radius_km,

        ---------- rules
        alert_type as alert_types,
        imeis,
        stay_time_in::numeric(9, 3) as stay_time_in_days,
        stay_time_out::numeric(9, 3) as stay_time_out_days,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from listed

    where is_usable

),

shaped as (

    select
        *,
        case
            when fence_type = 'circle' and pg_input_is_valid(points, 'point')
                then {{ circle_area('points::point', 'radius_km') }}
            when fence_type = 'polygon' and pg_input_is_valid(points, 'polygon')
                then points::polygon
        end as area
    from renamed

),

latest as (

    select distinct on (fence_id) *
    from shaped
    order by fence_id asc, fetched_at desc, record_id desc, load_id desc

)

select * from latest
