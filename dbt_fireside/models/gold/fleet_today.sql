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

clock as (

    -- Today is known up to the newest answer; the weekday before is cut at that hour.
    select
        newest.day,
        newest.day_start,
        least(
            newest.day_end,
            (
                select max(metrics.data_as_of)
                from {{ ref('fact_daily_fleet_metrics') }} as metrics
                where metrics.day = newest.day
            )
        ) as as_of
    from newest

),

periods as (

    select
        clock.day,
        clock.as_of,
        period.is_today,
        clock.day - period.days_ago as period_day,
        clock.as_of - period.days_ago * interval '1 day' as period_end
    from clock
    cross join (values (true, 0), (false, 7)) as period (is_today, days_ago)

),

vehicle_days as (

    select
        periods.*,
        metrics.imei,
        metrics.city,
        metrics.cost_centre,
        metrics.is_primary_device
    from periods
    inner join {{ ref('fact_daily_fleet_metrics') }} as metrics
        on periods.period_day = metrics.day
    where metrics.is_in_service and metrics.has_reported

),

driven as (

    select
        vehicle_days.imei,
        vehicle_days.is_today,
        sum(trips.distance_km) as distance_km,
        sum(trips.driving_time_s) / 3600.0 as driving_h
    from vehicle_days
    inner join {{ ref('fact_trips') }} as trips
        on
            vehicle_days.imei = trips.imei
            and vehicle_days.period_day = trips.day
            and vehicle_days.period_end > trips.start_time
    group by vehicle_days.imei, vehicle_days.is_today

),

stood as (

    select
        vehicle_days.imei,
        vehicle_days.is_today,
        sum(
            extract(
                epoch from
                least(stops.end_time, vehicle_days.period_end) - stops.start_time
            )
        ) filter (where stops.kind = 'idling') / 3600.0 as idle_h,
        count(*) filter (where stops.is_service_stop) as service_stops_count
    from vehicle_days
    inner join {{ ref('fact_stops') }} as stops
        on
            vehicle_days.imei = stops.imei
            and vehicle_days.period_day = stops.day
            and vehicle_days.period_end > stops.start_time
    group by vehicle_days.imei, vehicle_days.is_today

),

warned as (

    select
        vehicle_days.imei,
        vehicle_days.is_today,
        count(*) as alarms_count
    from vehicle_days
    inner join {{ ref('fact_alarms') }} as alarms
        on
            vehicle_days.imei = alarms.imei
            and vehicle_days.period_day = alarms.day
            and vehicle_days.period_end > alarms.alarm_time
    group by vehicle_days.imei, vehicle_days.is_today

),

summed as (

    select
        vehicle_days.day,
        vehicle_days.as_of,
        vehicle_days.is_today,
        cut.scope,
        cut.scope_value,
        count(*) filter (
            where
            vehicle_days.is_primary_device
            and driven.distance_km >= {{ rule('moved_distance') }}
        ) as moved_count,
        {% for table, measure in [
            ('driven', 'distance_km'), ('driven', 'driving_h'), ('stood', 'idle_h'),
            ('stood', 'service_stops_count'),
        ] -%}
        coalesce(sum({{ table }}.{{ measure }}) filter (
            where vehicle_days.is_primary_device
        ), 0) as {{ measure }},
        {% endfor -%}
        coalesce(sum(warned.alarms_count), 0) as alarms_count
    from vehicle_days
    {% for table in ['driven', 'stood', 'warned'] -%}
    left join {{ table }}
        on
            vehicle_days.imei = {{ table }}.imei
            and vehicle_days.is_today = {{ table }}.is_today
    {% endfor -%}
    {{ scopes({
        'city': 'vehicle_days.city',
        'cost_centre': 'vehicle_days.cost_centre',
    }) }}
    group by
        vehicle_days.day,
        vehicle_days.as_of,
        vehicle_days.is_today,
        cut.scope,
        cut.scope_value

),

measured as (

    select
        summed.day,
        summed.as_of,
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
    group by
        summed.day, summed.as_of, summed.scope, summed.scope_value, measure.kpi_id

),

today as (

    select
        ---------- ids
        measured.kpi_id,
        measured.scope,
        measured.scope_value,
        measured.day,
        measured.as_of,

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
    inner join {{ ref('kpi_register') }} as register
        on measured.kpi_id = register.kpi_id

)

select * from today
