{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'fact_trips', 'fact_stops'],
    recomputed_with=['operating_rules'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

vehicle_days as (

    -- This counts vehicles and not devices, so it reads the primary device alone. The
    -- days back to Monday are read too, because distances are summed from Monday on.
    select
        *,
        driving_time_s + idle_time_s as engine_time_s,
        {{ rule_for("'shift_length'", 'city') }} * 3600 as shift_s,
        extract(epoch from first_movement_time - day_start) / 3600 as first_departure_h,
        extract(epoch from last_movement_time - day_start) / 3600 as last_return_h
    from {{ ref('fact_daily_fleet_metrics') }}
    where
        is_primary_device
        and is_in_service
        and {{ has_changed('day + 6') }}

),

first_service_stops as (

    select
        imei,
        day,
        count(*) as service_stops_count,
        min(start_time) as first_stop_time
    from {{ ref('fact_stops') }}
    where
        is_service_stop
        and {{ has_changed('day + 6') }}
    group by imei, day

),

deadhead as (

    -- The distance from the depot to the first customer, for days that begin in a
    -- depot.
    select
        trips.imei,
        trips.day,
        sum(trips.distance_km) filter (
            where trips.start_time < stops.first_stop_time
        ) as deadhead_km
    from {{ ref('fact_trips') }} as trips
    inner join first_service_stops as stops
        on trips.imei = stops.imei and trips.day = stops.day
    where {{ has_changed('trips.day + 6') }}
    group by trips.imei, trips.day
    having (array_agg(trips.is_from_depot order by trips.start_time))[1]

),

described as (

    select
        vehicle_days.*,
        deadhead.deadhead_km,
        case
            when vehicle_days.has_reported
                then coalesce(stops.service_stops_count, 0)
        end as service_stops_count,
        coalesce(
            vehicle_days.distance_km >= {{ rule('moved_distance') }}, false
        ) as has_moved,
        coalesce(
            vehicle_days.engine_time_s > 60 * {{ rule('active_engine_time') }}, false
        ) as has_run
    from vehicle_days
    left join first_service_stops as stops
        on vehicle_days.imei = stops.imei and vehicle_days.day = stops.day
    left join deadhead
        on vehicle_days.imei = deadhead.imei and vehicle_days.day = deadhead.day

),

summed as (

    select
        described.day,
        described.day_start,
        cut.scope,
        cut.scope_value,
        count(*) as vehicles_count,
        count(*) filter (where described.has_reported) as reported_count,
        count(*) filter (where described.has_moved) as moved_count,
        count(*) filter (where described.has_moved or described.has_run)
            as active_vehicles_count,
        count(*) filter (
            where not described.has_moved and not described.is_never_reported
        ) as not_moved_count,
        count(*) filter (where described.is_never_reported) as never_reported_count,
        sum(described.trips_count) as trips_count,
        sum(described.service_stops_count) as service_stops_count,
        sum(described.distance_km) as distance_km,
        sum(described.driving_time_s) as driving_s,
        sum(described.idle_time_s) as idle_s,
        sum(described.shift_s) filter (where described.has_reported) as shift_s,
        avg(described.first_departure_h) as first_departure_h,
        avg(described.last_return_h) as last_return_h,
        avg(described.deadhead_km) as deadhead_km
    from described
    {{ scopes({
        'city': 'described.city',
        'cost_centre': 'described.cost_centre',
        'vehicle': 'described.vehicle_id',
    }) }}
    group by described.day, described.day_start, cut.scope, cut.scope_value

),

utilisation as (

    select
        ---------- ids
        day,
        day_start,
        scope,
        scope_value,

        ---------- vehicles
        vehicles_count::integer as vehicles_count,
        reported_count::integer as reported_count,
        moved_count::integer as moved_count,
        active_vehicles_count::integer as active_vehicles_count,
        not_moved_count::integer as not_moved_count,
        never_reported_count::integer as never_reported_count,

        ---------- activity
        trips_count::integer as trips_count,
        distance_km::numeric(14, 3) as distance_km,
        sum(distance_km) over week_to_date::numeric(14, 3) as distance_week_to_date_km,
        (driving_s / 3600.0)::numeric(14, 3) as driving_h,
        (idle_s / 3600.0)::numeric(14, 3) as idle_h,

        ---------- shares
        (100 * driving_s / nullif(shift_s, 0))::numeric(12, 2) as utilisation_pct,
        (
            100 * idle_s / nullif(driving_s + idle_s, 0)
        )::numeric(5, 2) as idle_share_pct,
        (100 * idle_s / nullif(shift_s, 0))::numeric(12, 2) as idle_of_shift_pct,

        ---------- per vehicle
        (trips_count::numeric / nullif(reported_count, 0))::numeric(9, 2)
            as trips_per_vehicle,
        (service_stops_count / nullif(reported_count, 0))::numeric(9, 2)
            as stops_per_vehicle,
        first_departure_h::numeric(6, 2) as first_departure_h,
        last_return_h::numeric(6, 2) as last_return_h,
        deadhead_km::numeric(9, 3) as deadhead_km
    from summed
    window week_to_date as (
        partition by scope, scope_value, date_trunc('week', day)
        order by day
    )

)

select * from utilisation
where {{ has_changed('day') }}
