with

fences as (

    -- Fences that the client drew in the vendor's platform. If two have the same name,
    -- the one with the lower id counts.
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

seed_zones as (

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

zones_of_seed as (

    select
        seed_zones.zone_id,
        seed_zones.name,
        seed_zones.kind,
        seed_zones.city,
        coalesce(fences.area, seed_zones.area) as area,
        fences.area is null and not seed_zones.agreed as is_assumed,
        case when fences.area is null then 'seed' else 'vendor' end as source
    from seed_zones
    left join fences
        on lower(seed_zones.name) = lower(fences.fence_name)

),

depot_words as (

    -- A fence with one of these words in its name is a depot: depot_name_yard,
    -- depot_name_service_centre.
    select
        replace(replace(rule, 'depot_name_', ''), '_', ' ') as word,
        agreed
    from {{ ref('operating_rules') }}
    where
        rule like 'depot_name_%'
        and value > 0

),

other_fences as (

    select
        'fence-' || fences.fence_id as zone_id,
        fences.fence_name as name,
        case when depots.is_agreed is null then 'fence' else 'depot' end as kind,
        null as city,
        fences.area,
        not coalesce(depots.is_agreed, true) as is_assumed,
        'vendor' as source
    from fences
    inner join lateral (
        select bool_or(depot_words.agreed) as is_agreed
        from depot_words
        where lower(fences.fence_name) ~ ('\m' || depot_words.word || 's?\M')
    ) as depots on true
    where not exists (
        select from seed_zones
        where lower(seed_zones.name) = lower(fences.fence_name)
    )

),

zones as (

    select * from zones_of_seed
    union all
    select * from other_fences

)

select * from zones
