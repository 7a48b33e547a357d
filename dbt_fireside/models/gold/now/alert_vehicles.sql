{{ config(materialized='view') }}

{% set median = 'percentile_cont(0.5) within group (order by night.end_{}::float8)' %}

with

vehicles as not materialized (

    select
        *,
        is_primary_device and freshness = 'fresh' as is_live,
        extract(hour from now() at time zone '{{ var("fleet_timezone") }}')
            as local_hour
    from {{ ref('vehicle_status_now') }}

),

checked as (

    select
        vehicles.city,
        -- A device that has been silent for longer than alert_silence_longest raises no
        -- alert, because people know about it.
        vehicles.fix_age_s / 3600.0 > {{ rule('alert_silence') }}
        and vehicles.fix_age_s / 3600.0 <= {{ rule('alert_silence_longest') }}
            as is_silent,
        vehicles.is_live and vehicles.is_too_fast as is_too_fast,
        vehicles.is_live and vehicles.is_outside_city as is_outside_city,
        vehicles.is_live
        and vehicles.state = 'idling'
        and extract(epoch from now() - vehicles.state_since_time) / 60
        > {{ rule('alert_idling') }} as is_idling,
        vehicles.freshness = 'fresh'
        and vehicles.battery_pct < {{ rule('battery_low') }} as is_battery_low
    from vehicles

),

-- An alert rule reads one column. PostgreSQL skips a left join to one row per city if
-- none of its columns is read, so a rule computes only its own count.
moving_at_night as (

    select
        imei,
        city,
        latitude,
        longitude
    from vehicles
    where
        is_live
        and state = 'driving'
        and (
            local_hour >= {{ rule_for("'after_hours_start'", 'vehicles.city') }}
            or local_hour < {{ rule_for("'after_hours_end'", 'vehicles.city') }}
        )
        and not {{ is_at_depot('vehicles.longitude', 'vehicles.latitude') }}

),

out_at_night as (

    -- The usual place is the median position at midnight over four weeks. A vehicle
    -- with fewer than five known nights has no usual place. A depot is always a usual
    -- place.
    select
        moving.city,
        count(*) as vehicles_count
    from moving_at_night as moving
    inner join lateral (
        select
            night.imei,
            {{ median.format('latitude') }} as latitude,
            {{ median.format('longitude') }} as longitude
        from {{ ref('fact_daily_fleet_metrics') }} as night
        where
            night.imei = moving.imei
            and night.day
            between {{ day_of('now()') }} - 28 and {{ day_of('now()') }} - 1
            and night.has_reported
            and night.end_latitude is not null
        group by night.imei
        having count(*) >= 5
    ) as usual on true
    where
        {{ great_circle_km(
            'moving.latitude::double precision',
            'moving.longitude::double precision',
            'usual.latitude',
            'usual.longitude',
        ) }} > {{ rule('overnight_distance') }}
    group by moving.city

),

due_for_service as (

    select
        city,
        count(*) as vehicles_count
    from {{ ref('vehicle_health_now') }}
    where km_to_service <= {{ rule('alert_service_distance') }}
    group by city

),

-- Every city has a row, even without vehicles, because Grafana treats a missing row as
-- "no data".
cities as (

    select city
    from {{ ref('dim_zones') }}
    where kind = 'city'
    union
    select city
    from {{ ref('dim_vehicles') }}
    union
    select 'Unassigned' as city

),

alerts as (

    select
        cities.city,
        (count(*) filter (where checked.is_silent))::integer as silent_count,
        (count(*) filter (where checked.is_too_fast))::integer as too_fast_count,
        (count(*) filter (where checked.is_outside_city))::integer
            as outside_city_count,
        coalesce(max(out_at_night.vehicles_count), 0)::integer as out_at_night_count,
        (count(*) filter (where checked.is_idling))::integer as idling_count,
        (count(*) filter (where checked.is_battery_low))::integer as battery_low_count,
        coalesce(max(due_for_service.vehicles_count), 0)::integer as service_due_count
    from cities
    left join checked
        on cities.city = checked.city
    left join out_at_night
        on cities.city = out_at_night.city
    left join due_for_service
        on cities.city = due_for_service.city
    group by cities.city

)

select * from alerts
