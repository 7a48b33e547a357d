{% set measures = {
    'fleet.vehicles_moved': 'moved_count',
    'fleet.distance': 'distance_km',
    'fleet.driving_time': 'driving_h',
    'fleet.idle_time': 'idle_h',
    'technician.service_stops': 'service_stops_count',
    'health.alarms': 'alarms_count',
} %}

with

newest as (

    select *
    from {{ ref('dim_dates') }}
    order by day desc
    limit 1

),

newest_answer as (

    select
        metrics.day,
        max(metrics.data_as_of) as data_as_of
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    inner join newest
        on metrics.day = newest.day
    group by metrics.day

),

clock as (

    -- Today's data ends with the newest answer. The day a week before is cut at the
    -- same hour.
    select
        newest.day,
        newest.day_start,
        least(newest.day_end, newest_answer.data_as_of) as as_of
    from newest
    left join newest_answer
        on newest.day = newest_answer.day

),

periods as (

    select
        period.is_today,
        dates.day,
        dates.day_start,
        clock.as_of - period.days_ago * interval '1 day' as period_end
    from clock
    cross join (values (true, 0), (false, 7)) as period (is_today, days_ago)
    inner join {{ ref('dim_dates') }} as dates
        on clock.day - period.days_ago = dates.day

),

items as (

    -- One row for each device, trip, stop and alarm up to that hour. A single group by
    -- counts them. With joins instead, the planner would compare all rows with each
    -- other, because it cannot estimate their number.
    select
        periods.is_today,
        metrics.imei,
        metrics.city,
        metrics.cost_centre,
        metrics.is_primary_device,
        0 as distance_km,
        0 as driving_s,
        0 as idle_s,
        0 as service_stops,
        0 as alarms
    from periods
    inner join {{ ref('fact_daily_fleet_metrics') }} as metrics
        on periods.day = metrics.day
    where metrics.is_in_service and metrics.has_reported
    union all
    select
        periods.is_today,
        trips.imei,
        null as city,
        null as cost_centre,
        null as is_primary_device,
        trips.distance_km,
        trips.driving_time_s as driving_s,
        0 as idle_s,
        0 as service_stops,
        0 as alarms
    from periods
    inner join {{ ref('fact_trips') }} as trips
        on
            periods.day_start = trips.day_start
            and periods.period_end > trips.start_time
    union all
    select
        periods.is_today,
        stops.imei,
        null as city,
        null as cost_centre,
        null as is_primary_device,
        0 as distance_km,
        0 as driving_s,
        case when stops.kind = 'idling' then extract(
            epoch from least(stops.end_time, periods.period_end) - stops.start_time
        ) end as idle_s,
        stops.is_service_stop::integer as service_stops,
        0 as alarms
    from periods
    inner join {{ ref('fact_stops') }} as stops
        on periods.day = stops.day and periods.period_end > stops.start_time
    union all
    select
        periods.is_today,
        alarms.imei,
        null as city,
        null as cost_centre,
        null as is_primary_device,
        0 as distance_km,
        0 as driving_s,
        0 as idle_s,
        0 as service_stops,
        1 as alarms
    from periods
    inner join {{ ref('fact_alarms') }} as alarms
        on periods.day = alarms.day and periods.period_end > alarms.alarm_time

),

devices as (

    select
        is_today,
        imei,
        max(city) as city,
        max(cost_centre) as cost_centre,
        bool_or(is_primary_device) as is_primary_device,
        sum(distance_km) as distance_km,
        sum(driving_s) / 3600.0 as driving_h,
        sum(idle_s) / 3600.0 as idle_h,
        sum(service_stops) as service_stops_count,
        sum(alarms) as alarms_count
    from items
    group by is_today, imei
    having bool_or(is_primary_device) is not null

),

summed as (

    select
        devices.is_today,
        cut.scope,
        cut.scope_value,
        count(*) filter (
            where
            devices.is_primary_device
            and devices.distance_km >= {{ rule('moved_distance') }}
        ) as moved_count,
        {% for measure in [
            'distance_km', 'driving_h', 'idle_h', 'service_stops_count',
        ] -%}
        coalesce(sum(devices.{{ measure }}) filter (
            where devices.is_primary_device
        ), 0) as {{ measure }},
        {% endfor -%}
        sum(devices.alarms_count) as alarms_count
    from devices
    {{ scopes({
        'city': 'devices.city',
        'cost_centre': 'devices.cost_centre',
    }) }}
    group by devices.is_today, cut.scope, cut.scope_value

),

measured as (

    select
        summed.scope,
        summed.scope_value,
        measure.kpi_id,
        max(measure.value) filter (where summed.is_today) as today_value,
        max(measure.value) filter (where not summed.is_today) as weekday_before_value
    from summed
    inner join lateral (
        values
        {% for kpi_id, column in measures.items() -%}
        ('{{ kpi_id }}', summed.{{ column }}::numeric){{ ',' if not loop.last }}
        {% endfor %}
    ) as measure (kpi_id, value) on true
    group by summed.scope, summed.scope_value, measure.kpi_id

),

today as (

    select
        ---------- ids
        measured.kpi_id,
        measured.scope,
        measured.scope_value,
        clock.day,
        clock.as_of,

        ---------- the measure
        register.label,
        register.unit,
        register.decimals,
        measured.today_value::numeric(18, 3) as value,
        measured.weekday_before_value::numeric(18, 3) as weekday_before_value,
        (
            100 * (measured.today_value - measured.weekday_before_value)
            / nullif(measured.weekday_before_value, 0)
        )::numeric(12, 1) as change_pct
    from measured
    cross join clock
    inner join {{ ref('kpi_register') }} as register
        on measured.kpi_id = register.kpi_id

)

select * from today
