{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'fact_trips'],
    recomputed_with=['operating_rules', 'dim_zones'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

vehicle_days as (

    select
        metrics.*,
        vehicles.assigned_city,
        {{ city_at('metrics.end_longitude', 'metrics.end_latitude') }} as end_city,
        {{ is_at_depot('metrics.end_longitude', 'metrics.end_latitude') }}
            as ends_at_depot
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    inner join {{ ref('dim_vehicles') }} as vehicles
        on metrics.imei = vehicles.imei
    where
        metrics.is_primary_device
        and metrics.is_in_service
        and metrics.has_reported
        and {{ has_changed('metrics.day') }}

),

places as (

    -- Positions at the end of trips and of the day. An unknown position is neither
    -- inside nor outside the city.
    select
        imei,
        day,
        end_city as city
    from vehicle_days
    where end_longitude is not null
    union all
    select
        trips.imei,
        trips.day,
        trips.end_city as city
    from {{ ref('fact_trips') }} as trips
    inner join vehicle_days
        on trips.imei = vehicle_days.imei and trips.day = vehicle_days.day
    where trips.end_longitude is not null

),

seen as (

    select
        places.imei,
        places.day,
        bool_or(places.city is distinct from vehicle_days.assigned_city) as was_outside
    from places
    inner join vehicle_days
        on places.imei = vehicle_days.imei and places.day = vehicle_days.day
    where vehicle_days.assigned_city is not null
    group by places.imei, places.day

),

usual as materialized (

    -- The usual place is the median place at midnight over four weeks, read device-day
    -- by device-day through an index. The group by on imei lets Citus compute it on the
    -- node that holds the nights.
    select
        vehicle_days.day,
        nights.*
    from vehicle_days
    inner join lateral (
        select
            night.imei,
            count(*) as nights_count,
            percentile_cont(0.5) within group (
                order by night.end_latitude::double precision
            ) as latitude,
            percentile_cont(0.5) within group (
                order by night.end_longitude::double precision
            ) as longitude
        from {{ ref('fact_daily_fleet_metrics') }} as night
        where
            night.imei = vehicle_days.imei
            and night.day between vehicle_days.day - 28 and vehicle_days.day - 1
            and night.has_reported
            and night.end_latitude is not null
        group by night.imei
    ) as nights on true

),

described as (

    select
        vehicle_days.day,
        vehicle_days.day_start,
        vehicle_days.city,
        vehicle_days.cost_centre,
        vehicle_days.vehicle_id,
        seen.was_outside,
        -- A vehicle with fewer than five nights has no usual place.
        case
            when vehicle_days.ends_at_depot then false
            when usual.nights_count >= 5 then {{ great_circle_km(
                'vehicle_days.end_latitude::double precision',
                'vehicle_days.end_longitude::double precision',
                'usual.latitude',
                'usual.longitude',
            ) }} > {{ rule('overnight_distance') }}
        end as is_unexpected
    from vehicle_days
    left join seen
        on
            vehicle_days.imei = seen.imei
            and vehicle_days.day = seen.day
    left join usual
        on
            vehicle_days.imei = usual.imei
            and vehicle_days.day = usual.day

),

summed as (

    select
        described.day,
        described.day_start,
        cut.scope,
        cut.scope_value,
        count(described.was_outside) as seen_count,
        count(*) filter (where described.was_outside) as outside_count,
        count(described.is_unexpected) as nights_count,
        count(*) filter (where described.is_unexpected) as unexpected_count
    from described
    {{ scopes({
        'city': 'described.city',
        'cost_centre': 'described.cost_centre',
        'vehicle': 'described.vehicle_id',
    }) }}
    group by described.day, described.day_start, cut.scope, cut.scope_value

),

dispatch as (

    select
        ---------- ids
        day,
        day_start,
        scope,
        scope_value,

        ---------- measures
        case when seen_count > 0 then outside_count end::integer
            as outside_city_count,
        (100.0 * outside_count / nullif(seen_count, 0))::numeric(5, 2)
            as city_drift_pct,
        case when nights_count > 0 then unexpected_count end::integer
            as unexpected_overnight_count
    from summed

)

select * from dispatch
