with

newest as (

    select
        day,
        day_start
    from {{ ref('dim_dates') }}
    order by day desc
    limit 1

),

vehicles as (

    select *
    from {{ ref('dim_vehicles') }}
    where is_primary_device and is_in_service

),

-- Today and the same weekday a week before; its hours are moved to today.
days as (

    select
        newest.day,
        newest.day_start,
        interval '0 days' as moved_by,
        'Today' as day_label
    from newest
    union all
    select
        newest.day - 7 as day,
        newest.day_start - interval '7 days' as day_start,
        interval '7 days' as moved_by,
        to_char(newest.day - 7, 'Dy DD Mon') as day_label
    from newest

),

hours as (

    select
        cut.scope,
        cut.scope_value,
        days.day,
        days.day_label
        || case when cut.scope = 'fleet' then '' else ', ' || cut.scope_value end
            as series,
        trail.hour_start + days.moved_by as hour_start,
        sum(trail.trail_km)::numeric(12, 3) as distance_km
    from days
    cross join vehicles
    inner join {{ ref('fact_hourly_trail') }} as trail
        on
            vehicles.imei = trail.imei
            and days.day_start <= trail.hour_start
            and days.day_start + interval '1 day' > trail.hour_start
    {{ scopes({'city': 'vehicles.city', 'cost_centre': 'vehicles.cost_centre'}) }}
    group by
        cut.scope,
        cut.scope_value,
        days.day,
        days.day_label,
        trail.hour_start + days.moved_by

)

select * from hours
