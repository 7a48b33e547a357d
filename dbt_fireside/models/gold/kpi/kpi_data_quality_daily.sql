{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

device_days as (

    -- This counts devices and not vehicles, because each device can have faults.
    select
        metrics.*,
        vehicles.driver_name,
        vehicles.vehicle_number,
        vehicles.fuel_norm_l_per_100km
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    inner join {{ ref('dim_vehicles') }} as vehicles
        on metrics.imei = vehicles.imei
    where
        metrics.is_in_service
        and {{ has_changed('metrics.day') }}

),

quality as (

    select
        ---------- ids
        device_days.day,
        device_days.day_start,
        cut.scope,
        cut.scope_value,

        ---------- reporting
        count(*)::integer as devices_count,
        (100.0 * count(*) filter (where device_days.has_reported) / count(*))
        ::numeric(5, 2) as reporting_pct,
        (count(*) filter (
            where not device_days.has_reported and not device_days.is_never_reported
        ))::integer as silent_count,
        (count(*) filter (
            where device_days.is_never_reported
        ))::integer as never_reported_count,

        ---------- fields that are filled in
        count(device_days.driver_name)::integer as driver_names_count,
        (100.0 * count(device_days.driver_name) / count(*))::numeric(5, 2)
            as driver_names_pct,
        count(device_days.vehicle_number)::integer as plates_count,
        (100.0 * count(device_days.vehicle_number) / count(*))::numeric(5, 2)
            as plates_pct,
        count(nullif(device_days.cost_centre, 'Unassigned'))::integer
            as cost_centres_count,
        (100.0 * count(nullif(device_days.cost_centre, 'Unassigned')) / count(*))
        ::numeric(5, 2) as cost_centres_pct,
        count(device_days.fuel_norm_l_per_100km)::integer as fuel_norms_count,
        (100.0 * count(device_days.fuel_norm_l_per_100km) / count(*))::numeric(5, 2)
            as fuel_norms_pct,

        ---------- consistency
        sum(device_days.fixes_count) filter (
            where device_days.driving_time_s >= 60
        )::bigint as driven_fixes_count,
        (
            sum(device_days.driving_time_s) filter (
                where device_days.driving_time_s >= 60
            ) / 3600.0
        )::numeric(14, 3) as driven_h,
        (
            sum(device_days.fixes_count) filter (where device_days.driving_time_s >= 60)
            / (
                sum(device_days.driving_time_s) filter (
                    where device_days.driving_time_s >= 60
                ) / 3600.0
            )
        )::numeric(9, 2) as fixes_per_driving_hour,
        sum(device_days.trail_km)::numeric(14, 3) as trail_km,
        sum(device_days.distance_km)::numeric(14, 3) as distance_km,
        -- The value should be near 100. A value that is 1,000 times too large or too
        -- small means that a unit is wrong.
        (
            100 * sum(device_days.trail_km)
            / nullif(sum(device_days.distance_km), 0)
        )::numeric(12, 2) as trail_to_trips_pct
    from device_days
    {{ scopes({
        'city': 'device_days.city',
        'cost_centre': 'device_days.cost_centre',
        'vehicle': 'device_days.vehicle_id',
    }) }}
    group by device_days.day, device_days.day_start, cut.scope, cut.scope_value

)

select * from quality
