{{ config(materialized='view') }}

with

vehicle_days as (

    -- This counts vehicles and not devices, so it reads the primary device alone.
    select
        date_trunc('month', metrics.day)::date as month,
        metrics.vehicle_id,
        metrics.day,
        metrics.city,
        metrics.cost_centre,
        metrics.has_reported,
        metrics.is_never_reported,
        metrics.distance_km,
        metrics.driving_time_s,
        metrics.idle_time_s,
        used.shift_driving_h,
        used.shift_h,
        productivity.service_stops_count,
        behaviour.speeding_min,
        behaviour.distance_km as scored_km,
        behaviour.penalty_points,
        health.alarms_count
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    left join {{ ref('kpi_fleet_utilisation_daily') }} as used
        on
            metrics.day = used.day
            and metrics.vehicle_id = used.scope_value
            and used.scope = 'vehicle'
    left join {{ ref('kpi_technician_productivity_daily') }} as productivity
        on
            metrics.day = productivity.day
            and metrics.vehicle_id = productivity.scope_value
            and productivity.scope = 'vehicle'
    left join {{ ref('kpi_driver_behaviour_daily') }} as behaviour
        on
            metrics.day = behaviour.day
            and metrics.vehicle_id = behaviour.scope_value
            and behaviour.scope = 'vehicle'
    left join {{ ref('kpi_vehicle_health_daily') }} as health
        on
            metrics.day = health.day
            and metrics.vehicle_id = health.scope_value
            and health.scope = 'vehicle'
    inner join {{ ref('dim_dates') }} as dates
        on metrics.day = dates.day and dates.is_over
    where
        metrics.is_primary_device
        and metrics.is_in_service

),

vehicle_months as (

    select
        ---------- ids
        month,
        vehicle_id,
        (array_agg(city order by day desc))[1] as city,
        (array_agg(cost_centre order by day desc))[1] as cost_centre,

        ---------- reporting
        count(*)::integer as days_count,
        (count(*) filter (where has_reported))::integer as reported_days_count,
        bool_and(is_never_reported) as is_never_reported,

        ---------- measures
        sum(distance_km)::numeric(14, 3) as distance_km,
        (sum(driving_time_s) / 3600.0)::numeric(14, 3) as driving_h,
        (sum(idle_time_s) / 3600.0)::numeric(14, 3) as idle_h,
        (
            100 * sum(idle_time_s) / nullif(sum(driving_time_s + idle_time_s), 0)
        )::numeric(5, 2) as idle_share_pct,
        (100 * sum(shift_driving_h) / nullif(sum(shift_h), 0))::numeric(12, 2)
            as utilisation_pct,
        sum(service_stops_count)::integer as service_stops_count,
        sum(speeding_min)::numeric(12, 2) as speeding_min,
        ({{ driving_score(
            'sum(penalty_points)',
            'sum(scored_km) filter (where penalty_points is not null)',
        ) }})::numeric(5, 2) as score,
        sum(alarms_count)::integer as alarms_count
    from vehicle_days
    group by month, vehicle_id

)

select * from vehicle_months
