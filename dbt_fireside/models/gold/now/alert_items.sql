{{ config(materialized='view') }}

{% set median = 'percentile_cont(0.5) within group (order by night.end_{}::float8)' %}

with

-- The alerts, worst first. alert is the uid of the rule in Grafana.
alerts as (

    select *
    from (
        values
        ('sos', 'SOS', 'critical', 1, 'power-cut-sos-tamper'),
        ('power-cut', 'Power cut', 'critical', 2, 'power-cut-sos-tamper'),
        ('tamper', 'Tamper', 'critical', 3, 'power-cut-sos-tamper'),
        (
            'out-at-night', 'Driving at night', 'critical', 4,
            'over-speed-after-hours-outside-the-city-idling'
        ),
        ('no-positions', 'No positions', 'critical', 5, 'sweep-silent'),
        (
            'over-speed', 'Over-speed', 'warning', 6,
            'over-speed-after-hours-outside-the-city-idling'
        ),
        (
            'idling', 'Idling', 'info', 7,
            'over-speed-after-hours-outside-the-city-idling'
        ),
        (
            'outside-city', 'Outside assigned city', 'warning', 8,
            'over-speed-after-hours-outside-the-city-idling'
        ),
        (
            'after-hours-trip', 'After-hours trip', 'warning', 9,
            'over-speed-after-hours-outside-the-city-idling'
        ),
        ('units-silent', 'Units silent', 'warning', 10, 'unit-silent'),
        ('data-stale', 'Data is stale', 'warning', 11, 'data-is-stale'),
        ('job-failing', 'Job failing', 'warning', 12, 'look-first'),
        ('night-bad', 'Nightly job late or failed', 'warning', 13, 'nightly-late'),
        ('spool-growing', 'Spool growing', 'warning', 14, 'spool-growing'),
        ('rejected-records', 'Rejected records', 'warning', 15, 'rejected-records'),
        ('service-due', 'Service due', 'info', 16, 'service-due-battery-low'),
        ('battery-low', 'Device battery low', 'info', 17, 'service-due-battery-low')
    ) as alert (alert, alert_name, severity, alert_rank, runbook_section)

),

vehicles as not materialized (

    select
        *,
        is_primary_device and freshness = 'fresh' as is_live,
        extract(hour from now() at time zone '{{ var("fleet_timezone") }}')
            as local_hour
    from {{ ref('vehicle_status_now') }}

),

-- Each branch has a constant alert, so that a query of one alert skips the others.
states as (

    select
        item.alert,
        vehicles.city,
        vehicles.cost_centre,
        vehicles.vehicle_id,
        vehicles.driver_name,
        item.since_time,
        item.details,
        vehicles.latitude,
        vehicles.longitude
    from vehicles
    inner join lateral ( -- noqa: ST05
        select
            'over-speed' as alert,
            vehicles.gps_time as since_time,
            round(vehicles.speed_kmh) || ' km/h, limit '
            || round(vehicles.speed_limit_kmh) || ' km/h' as details
        where vehicles.is_live and vehicles.is_too_fast
        union all
        select
            'idling' as alert,
            vehicles.state_since_time as since_time,
            'for '
            || (extract(epoch from now() - vehicles.state_since_time) / 60)::integer
            || ' min' as details
        where
            vehicles.is_live
            and vehicles.state = 'idling'
            and extract(epoch from now() - vehicles.state_since_time) / 60
            > {{ rule('alert_idling') }}
        union all
        select
            'outside-city' as alert,
            -- The newest trip that began in the vehicle's city is the one that left it.
            (
                select trips.start_time
                from {{ ref('fact_trips') }} as trips
                where
                    trips.imei = vehicles.imei
                    and trips.start_city = vehicles.city
                order by trips.start_time desc
                limit 1
            ) as since_time,
            coalesce('in ' || vehicles.current_city, 'outside all cities') as details
        where vehicles.is_live and vehicles.is_outside_city
        union all
        -- A device that has been silent for longer than alert_silence_longest raises no
        -- alert, because people know about it.
        select
            'units-silent' as alert,
            vehicles.gps_time as since_time,
            'for ' || (vehicles.fix_age_s / 3600) || ' h, device '
            || vehicles.imei as details
        where
            vehicles.fix_age_s / 3600.0 > {{ rule('alert_silence') }}
            and vehicles.fix_age_s / 3600.0 <= {{ rule('alert_silence_longest') }}
        union all
        select
            'battery-low' as alert,
            vehicles.gps_time as since_time,
            round(vehicles.battery_pct) || ' %, device ' || vehicles.imei as details
        where
            vehicles.freshness = 'fresh'
            and vehicles.battery_pct < {{ rule('battery_low') }}
    ) as item on true

),

moving_at_night as (

    select *
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
        'out-at-night' as alert,
        moving.city,
        moving.cost_centre,
        moving.vehicle_id,
        moving.driver_name,
        moving.state_since_time as since_time,
        round(away.distance_km) || ' km from its usual place' as details,
        moving.latitude,
        moving.longitude
    from moving_at_night as moving
    inner join lateral ( -- noqa: ST05
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
    inner join lateral ( -- noqa: ST05
        select
            ({{ great_circle_km(
                'moving.latitude::double precision',
                'moving.longitude::double precision',
                'usual.latitude',
                'usual.longitude',
            ) }})::numeric as distance_km
    ) as away on away.distance_km > {{ rule('overnight_distance') }}

),

due_for_service as (

    select
        'service-due' as alert,
        health.city,
        health.cost_centre,
        health.vehicle_id,
        health.driver_name,
        null::timestamptz as since_time,
        case
            when health.km_to_service < 0
                then 'overdue by ' || round(-health.km_to_service) || ' km'
            else 'in ' || round(health.km_to_service) || ' km'
        end as details,
        null::numeric as latitude,
        null::numeric as longitude
    from {{ ref('vehicle_health_now') }} as health
    where health.km_to_service <= {{ rule('alert_service_distance') }}

),

-- Recent events, found by columns with an index.
alarms as (

    select
        case alarm.alarm_class when 'power' then 'power-cut' else alarm.alarm_class end
            as alert,
        alarm.city,
        alarm.cost_centre,
        alarm.vehicle_id,
        alarm.driver_name,
        alarm.alarm_time as since_time,
        alarm.alarm_name as details,
        alarm.latitude,
        alarm.longitude
    from {{ ref('fact_alarms') }} as alarm
    where
        alarm.severity = 'high'
        and alarm.alarm_class in ('sos', 'power', 'tamper')
        and alarm.alarm_time
        > now() - {{ rule('alert_event_age') }} * interval '1 minute'

),

trips_after_hours as (

    select
        'after-hours-trip' as alert,
        trips.city,
        trips.cost_centre,
        trips.vehicle_id,
        trips.driver_name,
        trips.start_time as since_time,
        round(trips.distance_km) || ' km' as details,
        trips.end_latitude as latitude,
        trips.end_longitude as longitude
    from {{ ref('fact_trips') }} as trips
    where
        trips.is_primary_device
        and trips.is_after_hours
        and trips.day_start > now() - interval '3 days'
        and trips.end_time
        > now() - {{ rule('alert_event_age') }} * interval '1 minute'

),

of_vehicles as (

    select * from states
    union all
    select * from out_at_night
    union all
    select * from due_for_service
    union all
    select * from alarms
    union all
    select * from trips_after_hours

),

-- Several events of a vehicle, or both of its devices, are one alert: the newest.
newest as (

    select distinct on (of_vehicles.alert, of_vehicles.vehicle_id)
        of_vehicles.*,
        count(*) over (
            partition by of_vehicles.alert, of_vehicles.vehicle_id
        ) as events_count
    from of_vehicles
    order by
        of_vehicles.alert asc,
        of_vehicles.vehicle_id asc,
        of_vehicles.since_time desc nulls last

),

of_service as (

    select
        fault.alert,
        service.city,
        null::text as cost_centre,
        null::text as vehicle_id,
        null::text as driver_name,
        null::timestamptz as since_time,
        fault.events_count || ' ' || fault.things as details,
        null::numeric as latitude,
        null::numeric as longitude,
        fault.events_count::bigint as events_count
    from {{ ref('alert_service') }} as service
    inner join lateral (
        values
        ('no-positions', service.missed_sweeps_count, 'sweeps missed'),
        ('data-stale', service.stale_sources_count, 'tables too old'),
        ('job-failing', service.failing_jobs_count, 'jobs'),
        ('night-bad', service.failed_nights_count, 'nightly job'),
        ('spool-growing', service.waiting_pushes_count, 'pushes wait'),
        ('rejected-records', service.rejected_records_count, 'records')
    ) as fault (alert, events_count, things) on fault.events_count > 0

),

items as (

    select
        ---------- ids
        item.alert,
        item.city,
        item.cost_centre,
        item.vehicle_id,
        case
            when item.vehicle_id is not null
                then coalesce(item.driver_name, 'no driver named')
        end as driver_name,

        ---------- what it is and what to do
        alerts.alert_rank,
        alerts.alert_name,
        alerts.severity,
        item.details,
        item.events_count::integer as events_count,
        'RUNBOOK.md#' || alerts.runbook_section as runbook_path,

        ---------- since when, and where
        item.since_time,
        extract(epoch from now() - item.since_time)::integer as since_s,
        item.latitude,
        item.longitude,
        'https://www.google.com/maps/search/?api=1&query=' || item.latitude || ','
        || item.longitude as map_url
    from (
        select * from newest
        union all
        select * from of_service
    ) as item
    inner join alerts on item.alert = alerts.alert

)

select * from items
