with

drawn as (

    -- Fences drawn in the vendor's platform. If two have one name, the first counts.
    select distinct on (lower(fence_name))
        fence_id,
        fence_name,
        area
    from {{ ref('geofences') }}
    where
        area is not null
        and fence_name is not null
    order by lower(fence_name) asc, fence_id asc

),

listed as (

    select
        *,
        case shape
            when 'circle' then {{ circle_area(
                'point(longitude::double precision, latitude::double precision)',
                'radius_km',
            ) }}
            when 'polygon' then polygon::polygon
        end as area
    from {{ ref('zones') }}

),

known as (

    select
        listed.zone_id,
        listed.name,
        listed.kind,
        listed.city,
        coalesce(drawn.area, listed.area) as area,
        drawn.area is null and not listed.agreed as is_assumed,
        case when drawn.area is null then 'seed' else 'vendor' end as source
    from listed
    left join drawn
        on lower(listed.name) = lower(drawn.fence_name)

),

added as (

    select
        'fence-' || drawn.fence_id as zone_id,
        drawn.fence_name as name,
        'fence' as kind,
        null as city,
        drawn.area,
        false as is_assumed,
        'vendor' as source
    from drawn
    where not exists (
        select from listed
        where lower(listed.name) = lower(drawn.fence_name)
    )

),

zones as (

    select * from known
    union all
    select * from added

)

select * from zones
