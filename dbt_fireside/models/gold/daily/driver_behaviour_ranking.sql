{% set harsh_kinds = ['harsh_acceleration', 'harsh_braking', 'harsh_cornering'] %}

with

newest as (

    select max(day) as day
    from {{ ref('kpi_driver_behaviour_daily') }}

),

places as (

    select
        'vehicle' as scope,
        vehicle_id as scope_value,
        vehicle_id,
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
            vehicles.vehicle_id,
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

    select
        behaviour.scope,
        behaviour.scope_value,
        count(*) as days_count,
        sum(behaviour.distance_km) as distance_km,
        sum(behaviour.speeding_events_count) as speeding_events_count,
        sum(behaviour.speeding_min) as speeding_min,
        max(behaviour.worst_over_limit_kmh) as worst_over_limit_kmh,
        sum(behaviour.harsh_driving_alarms_count) as harsh_driving_alarms_count,
        sum(behaviour.dense_distance_km) as dense_distance_km,
        {% for kind in harsh_kinds -%}
        sum(behaviour.{{ kind }}_count) as {{ kind }}_count,
        {% endfor -%}
        sum(behaviour.penalty_points) as penalty_points,
        sum(behaviour.distance_km) filter (
            where behaviour.penalty_points is not null
        ) as scored_km,
        sum(behaviour.after_hours_km) as after_hours_km
    from {{ ref('kpi_driver_behaviour_daily') }} as behaviour
    inner join newest
        -- The newest day is left out, because it may not be over.
        on behaviour.day >= newest.day - 30 and behaviour.day < newest.day
    where behaviour.scope in ('vehicle', 'driver')
    group by behaviour.scope, behaviour.scope_value

),

scored as (

    select
        *,
        {{ driving_score('penalty_points', 'scored_km') }} as score
    from summed

),

ranking as (

    select
        ---------- ids
        scored.scope,
        scored.scope_value,
        places.vehicle_id,

        ---------- groups
        coalesce(places.city, 'Unassigned') as city,
        coalesce(places.cost_centre, 'Unassigned') as cost_centre,

        ---------- measures
        rank() over (
            partition by scored.scope
            order by scored.score asc nulls last
        )::integer as worst_rank,
        scored.days_count::integer as days_count,
        scored.distance_km::numeric(14, 3) as distance_km,
        scored.score::numeric(5, 2) as score,
        scored.speeding_events_count::integer as speeding_events_count,
        scored.speeding_min::numeric(12, 2) as speeding_min,
        scored.worst_over_limit_kmh::numeric(6, 2) as worst_over_limit_kmh,
        (
            100 * scored.harsh_driving_alarms_count / nullif(scored.distance_km, 0)
        )::numeric(9, 2) as harsh_driving_alarms_per_100km,
        {% for kind in harsh_kinds -%}
        case
            when scored.dense_distance_km >= {{ rule('score_min_distance') }}
                then 100 * scored.{{ kind }}_count / scored.dense_distance_km
        end::numeric(9, 2) as {{ kind }}_per_100km,
        {% endfor -%}
        scored.after_hours_km::numeric(14, 3) as after_hours_km
    from scored
    left join places
        on
            scored.scope = places.scope
            and scored.scope_value = places.scope_value

)

select * from ranking
