{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'fact_trips', 'dim_dates'],
    recomputed_with=['dim_zones'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

vehicle_days as (

    select
        metrics.*,
        dates.is_over,
        {{ city_at('metrics.end_longitude', 'metrics.end_latitude') }} as end_city,
        {{ is_at_depot('metrics.end_longitude', 'metrics.end_latitude') }}
            as ends_at_depot
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    inner join {{ ref('dim_dates') }} as dates
        on metrics.day = dates.day
    where
        metrics.is_primary_device
        and metrics.is_in_service
        and metrics.has_reported
        and {{ has_changed('metrics.day') }}

),

end_positions as (

    -- The positions at the end of each trip and of the day. An unknown position is
    -- neither inside nor outside the city.
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

city_checks as (

    select
        end_positions.imei,
        end_positions.day,
        bool_or(end_positions.city is distinct from vehicle_days.assigned_city)
            as was_outside
    from end_positions
    inner join vehicle_days
        on
            end_positions.imei = vehicle_days.imei
            and end_positions.day = vehicle_days.day
    where vehicle_days.assigned_city is not null
    group by end_positions.imei, end_positions.day

),

usual_places as materialized (

    -- The usual place is the median position at midnight over four weeks. It is read
    -- through an index for each device and day. The group by on imei lets Citus compute
    -- it on the node that stores these nights.
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
        city_checks.was_outside,
        -- Today nobody knows yet where a vehicle spends the night. A vehicle with fewer
        -- than five nights has no usual place.
        case
            when not vehicle_days.is_over then null
            when vehicle_days.ends_at_depot then false
            when usual_places.nights_count >= 5 then {{ great_circle_km(
                'vehicle_days.end_latitude::double precision',
                'vehicle_days.end_longitude::double precision',
                'usual_places.latitude',
                'usual_places.longitude',
            ) }} > {{ rule('overnight_distance') }}
        end as is_unexpected
    from vehicle_days
    left join city_checks
        on
            vehicle_days.imei = city_checks.imei
            and vehicle_days.day = city_checks.day
    left join usual_places
        on
            vehicle_days.imei = usual_places.imei
            and vehicle_days.day = usual_places.day

),

summed as (

    select
        described.day,
        described.day_start,
        cut.scope,
        cut.scope_value,
        count(*) as vehicles_count,
        count(described.was_outside) as checked_count,
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
        vehicles_count::integer as vehicles_count,
        case when checked_count > 0 then outside_count end::integer
            as outside_city_count,
        checked_count::integer as checked_count,
        (100.0 * outside_count / nullif(checked_count, 0))::numeric(5, 2)
            as city_drift_pct,
        case when nights_count > 0 then unexpected_count end::integer
            as unexpected_overnight_count
    from summed

)

select * from dispatch
