{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=[
        'fact_daily_fleet_metrics', 'fact_trips', 'fact_stops', 'shift_trips',
    ],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

vehicle_days as (

    -- This counts vehicles and not devices, so it reads the primary device alone. The
    -- days back to Monday are read too, because distances are summed from Monday on.
    select
        *,
        driving_time_s + idle_time_s as engine_time_s,
        {{ shift_s('day', 'city') }} as shift_s
    from {{ ref('fact_daily_fleet_metrics') }}
    where
        is_primary_device
        and is_in_service
        and {{ has_changed('day + 6') }}

),

shift_trips as (

    select * from {{ ref('shift_trips') }}
    where {{ has_changed('day + 6') }}

),

first_service_stops as (

    select
        stops.imei,
        stops.day,
        min(stops.start_time) as first_stop_time
    from {{ ref('fact_stops') }} as stops
    inner join shift_trips
        on stops.imei = shift_trips.imei and stops.day = shift_trips.day
    where
        stops.is_service_stop
        and stops.start_time >= shift_trips.first_start_time
        and {{ has_changed('stops.day + 6') }}
    group by stops.imei, stops.day

),

deadhead as (

    -- The distance from the depot to the first customer, for days that begin in a
    -- depot.
    select
        trips.imei,
        trips.day,
        sum(trips.distance_km) filter (
            where
            trips.start_time >= shift_trips.first_start_time
            and trips.start_time < stops.first_stop_time
        ) as deadhead_km
    from {{ ref('fact_trips') }} as trips
    inner join first_service_stops as stops
        on trips.imei = stops.imei and trips.day = stops.day
    inner join shift_trips
        on trips.imei = shift_trips.imei and trips.day = shift_trips.day
    where
        shift_trips.is_from_depot
        and {{ has_changed('trips.day + 6') }}
    group by trips.imei, trips.day

),

described as (

    select
        vehicle_days.*,
        deadhead.deadhead_km,
        extract(epoch from shift_trips.departure_time - vehicle_days.day_start) / 3600
            as first_departure_h,
        extract(epoch from shift_trips.return_time - vehicle_days.day_start) / 3600
            as last_return_h,
        coalesce(
            vehicle_days.distance_km >= {{ rule('moved_distance') }},
            -- Null if the vehicle drove and nobody knows how far.
            case when coalesce(vehicle_days.trips_count, 0) = 0 then false end
        ) as has_moved,
        coalesce(
            vehicle_days.engine_time_s > 60 * {{ rule('active_engine_time') }}, false
        ) as has_run
    from vehicle_days
    left join shift_trips
        on vehicle_days.imei = shift_trips.imei and vehicle_days.day = shift_trips.day
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
        sum(described.distance_km) as distance_km,
        sum(described.driving_time_s) as driving_s,
        sum(described.idle_time_s) as idle_s,
        sum(described.shift_s) filter (where described.has_reported) as shift_s,
        sum(described.driving_time_s) filter (where described.shift_s > 0)
            as shift_driving_s,
        sum(described.idle_time_s) filter (where described.shift_s > 0) as shift_idle_s,
        count(*) filter (where described.shift_s = 0 and described.has_reported)
            as off_shift_reported_count,
        count(*) filter (where described.shift_s = 0 and described.has_moved)
            as off_shift_moved_count,
        count(described.first_departure_h) as first_departures_count,
        sum(described.first_departure_h) as first_departures_h,
        count(described.last_return_h) as last_returns_count,
        sum(described.last_return_h) as last_returns_h,
        count(described.deadhead_km) as deadheads_count,
        sum(described.deadhead_km) as deadheads_km
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

        ---------- shares; overtime on a day with a shift counts
        (shift_s / 3600.0)::numeric(14, 3) as shift_h,
        (shift_driving_s / 3600.0)::numeric(14, 3) as shift_driving_h,
        (shift_idle_s / 3600.0)::numeric(14, 3) as shift_idle_h,
        (100 * shift_driving_s / nullif(shift_s, 0))::numeric(12, 2) as utilisation_pct,
        (
            100 * idle_s / nullif(driving_s + idle_s, 0)
        )::numeric(5, 2) as idle_share_pct,
        (100 * shift_idle_s / nullif(shift_s, 0))::numeric(12, 2) as idle_of_shift_pct,
        off_shift_reported_count::integer as off_shift_reported_count,
        off_shift_moved_count::integer as off_shift_moved_count,
        (
            100.0 * off_shift_moved_count / nullif(off_shift_reported_count, 0)
        )::numeric(5, 2) as off_shift_use_pct,

        ---------- per vehicle
        (trips_count::numeric / nullif(reported_count, 0))::numeric(9, 2)
            as trips_per_vehicle,
        first_departures_count::integer as first_departures_count,
        first_departures_h::numeric(14, 3) as first_departures_h,
        (first_departures_h / nullif(first_departures_count, 0))::numeric(6, 2)
            as first_departure_h,
        last_returns_count::integer as last_returns_count,
        last_returns_h::numeric(14, 3) as last_returns_h,
        (last_returns_h / nullif(last_returns_count, 0))::numeric(6, 2)
            as last_return_h,
        deadheads_count::integer as deadheads_count,
        deadheads_km::numeric(14, 3) as deadheads_km,
        (deadheads_km / nullif(deadheads_count, 0))::numeric(9, 3) as deadhead_km
    from summed
    window week_to_date as (
        partition by scope, scope_value, date_trunc('week', day)
        order by day
    )

)

select * from utilisation
where {{ has_changed('day') }}
