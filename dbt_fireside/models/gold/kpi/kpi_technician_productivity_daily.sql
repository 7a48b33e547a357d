{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'shift_trips', 'fact_stops'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

with

vehicle_days as (

    select * from {{ ref('fact_daily_fleet_metrics') }}
    where
        is_primary_device
        and is_in_service
        and has_reported
        and {{ has_changed('day') }}

),

departures as (

    -- On a day without a shift there is no departure.
    select
        imei,
        day,
        driver_name,
        extract(epoch from departure_time - shift_start_time) / 60 as late_min
    from {{ ref('shift_trips') }}
    where
        departure_time is not null
        and {{ has_changed('day') }}

),

items as (

    -- One row for the vehicle itself, for each service stop and for each departure. So
    -- each of them counts for the driver at that time, even if the driver changes
    -- during the day.
    select
        vehicle_days.*,
        null as driver_name,
        1 as vehicles,
        0 as service_stops,
        0 as on_site_s,
        null::numeric as late_min
    from vehicle_days
    union all
    select
        vehicle_days.*,
        stops.driver_name,
        0 as vehicles,
        1 as service_stops,
        stops.duration_s as on_site_s,
        null as late_min
    from {{ ref('fact_stops') }} as stops
    inner join vehicle_days
        on stops.imei = vehicle_days.imei and stops.day = vehicle_days.day
    where
        stops.is_service_stop
        and {{ has_changed('stops.day') }}
    union all
    select
        vehicle_days.*,
        departures.driver_name,
        0 as vehicles,
        0 as service_stops,
        0 as on_site_s,
        greatest(departures.late_min, 0) as late_min
    from departures
    inner join vehicle_days
        on departures.imei = vehicle_days.imei and departures.day = vehicle_days.day

),

summed as (

    select
        items.day,
        items.day_start,
        cut.scope,
        cut.scope_value,
        sum(items.vehicles) as vehicles_count,
        sum(items.service_stops) as service_stops_count,
        sum(items.on_site_s) as on_site_s,
        count(items.late_min) as departures_count,
        count(*) filter (
            where items.late_min > {{ rule('tardiness_grace') }}
        ) as late_departures_count,
        sum(items.late_min) as late_min
    from items
    {{ scopes({
        'city': 'items.city',
        'cost_centre': 'items.cost_centre',
        'vehicle': 'items.vehicle_id',
        'driver': 'items.driver_name',
    }) }}
    group by items.day, items.day_start, cut.scope, cut.scope_value

),

productivity as (

    select
        ---------- ids
        day,
        day_start,
        scope,
        scope_value,

        ---------- visits
        service_stops_count::integer as service_stops_count,
        vehicles_count::integer as vehicles_count,
        (
            service_stops_count::numeric / nullif(vehicles_count, 0)
        )::numeric(9, 2) as service_stops_per_vehicle,
        (on_site_s / 3600.0)::numeric(12, 3) as time_on_site_h,
        (
            on_site_s / 60.0 / nullif(service_stops_count, 0)
        )::numeric(9, 2) as time_on_site_per_stop_min,

        ---------- start of the day
        departures_count::integer as departures_count,
        case when departures_count > 0 then late_departures_count end::integer
            as late_departures_count,
        (
            100.0 * late_departures_count / nullif(departures_count, 0)
        )::numeric(5, 2) as late_departures_pct,
        late_min::numeric(14, 2) as late_min,
        (late_min / nullif(departures_count, 0))::numeric(9, 2) as tardiness_min
    from summed

)

select * from productivity
