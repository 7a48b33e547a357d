{% set rates = [
    'harsh_acceleration_per_100km', 'harsh_braking_per_100km',
    'harsh_cornering_per_100km', 'score',
] %}

with

newest as (

    select max(day) as day
    from {{ ref('kpi_driver_behaviour_daily') }}

),

places as (

    select
        'vehicle' as scope,
        vehicle_id as scope_value,
        city,
        cost_centre
    from {{ ref('dim_vehicles') }}
    where is_primary_device
    union all
    -- A driver belongs to the city and cost centre of the vehicle that the driver drove
    -- last.
    (
        select distinct on (drivers.driver_name)
            'driver' as scope,
            drivers.driver_name as scope_value,
            vehicles.city,
            vehicles.cost_centre
        from {{ ref('dim_drivers') }} as drivers
        inner join {{ ref('dim_vehicles') }} as vehicles
            on drivers.imei = vehicles.imei
        order by
            drivers.driver_name asc, drivers.valid_from desc, drivers.imei asc
    )

),

summed as (

    -- A rate per km is weighted by its distance.
    select
        behaviour.scope,
        behaviour.scope_value,
        count(*) as days_count,
        sum(behaviour.distance_km) as distance_km,
        sum(behaviour.speeding_events_count) as speeding_events_count,
        sum(behaviour.speeding_min) as speeding_min,
        max(behaviour.worst_over_limit_kmh) as worst_over_limit_kmh,
        {% for rate in rates -%}
        sum(behaviour.{{ rate }} * behaviour.distance_km)
        / nullif(sum(behaviour.distance_km) filter (
            where behaviour.{{ rate }} is not null
        ), 0) as {{ rate }},
        {% endfor -%}
        sum(behaviour.after_hours_km) as after_hours_km
    from {{ ref('kpi_driver_behaviour_daily') }} as behaviour
    inner join newest
        -- The newest day is left out, because it may not be over.
        on behaviour.day >= newest.day - 30 and behaviour.day < newest.day
    where behaviour.scope in ('vehicle', 'driver')
    group by behaviour.scope, behaviour.scope_value

),

ranking as (

    select
        ---------- ids
        summed.scope,
        summed.scope_value,

        ---------- groups
        coalesce(places.city, 'Unassigned') as city,
        coalesce(places.cost_centre, 'Unassigned') as cost_centre,

        ---------- measures
        rank() over (
            partition by summed.scope
            order by summed.score asc nulls last
        )::integer as worst_rank,
        summed.days_count::integer as days_count,
        summed.distance_km::numeric(14, 3) as distance_km,
        summed.score::numeric(5, 2) as score,
        summed.speeding_events_count::integer as speeding_events_count,
        summed.speeding_min::numeric(12, 2) as speeding_min,
        summed.worst_over_limit_kmh::numeric(6, 2) as worst_over_limit_kmh,
        {% for rate in rates[:3] -%}
        summed.{{ rate }}::numeric(9, 2) as {{ rate }},
        {% endfor -%}
        summed.after_hours_km::numeric(14, 3) as after_hours_km
    from summed
    left join places
        on
            summed.scope = places.scope
            and summed.scope_value = places.scope_value

)

select * from ranking
