{#-
The KPIs in the order of importance, the columns that hold them, and the data on which
they depend.
-#}
{% set measures = [
    ('fleet.vehicles_moved', 'kpi_fleet_utilisation_daily', 'moved_count', 'trips'),
    ('fleet.distance', 'kpi_fleet_utilisation_daily', 'distance_km', 'trips'),
    ('fleet.driving_time', 'kpi_fleet_utilisation_daily', 'driving_h', 'trips'),
    ('fleet.idle_time', 'kpi_fleet_utilisation_daily', 'idle_h', 'stops'),
    (
        'technician.service_stops', 'kpi_technician_productivity_daily',
        'service_stops_count', 'stops',
    ),
    ('health.alarms', 'kpi_vehicle_health_daily', 'alarms_count', 'alarms'),
] %}
{% set methods = {
    'trips': 'jimi.device.track.mileage',
    'stops': 'jimi.open.platform.report.parking',
    'alarms': 'jimi.device.alarm.list',
} %}

with

newest as (

    select *
    from {{ ref('dim_dates') }}
    order by day desc
    limit 1

),

asked as (

    select
        calls.method,
        max(calls.window_end_time) as last_time
    from newest
    inner join {{ ref('ingestion_log') }} as calls
        on newest.day_start < calls.window_end_time
    where calls.is_success
    group by calls.method

),

newest_answer as (

    select max(metrics.data_as_of) as fetched_at
    from newest
    inner join {{ ref('fact_daily_fleet_metrics') }} as metrics
        on newest.day = metrics.day

),

clock as (

    -- Today's values end where the newest request for their data ended. Data that is
    -- only pushed ends with the newest answer.
    select
        newest.day,
        {% for data, method in methods.items() -%}
        least(
            newest.day_end,
            coalesce(
                max(asked.last_time) filter (where asked.method = '{{ method }}'),
                newest_answer.fetched_at
            )
        ) as {{ data }}_as_of,
        {% endfor -%}
        weekday_before.day as day_before,
        weekday_before.day_start as start_before,
        weekday_before.day_end as end_before
    from newest
    cross join newest_answer
    left join asked on true
    left join {{ ref('dim_dates') }} as weekday_before
        on newest.day - 7 = weekday_before.day
    group by
        newest.day,
        newest.day_end,
        newest_answer.fetched_at,
        weekday_before.day,
        weekday_before.day_start,
        weekday_before.day_end

),

days as (

    -- Both days come from the tables of the daily KPIs: nothing is defined here.
    {% for kpi_id, mart, column, data in measures -%}
    select
        '{{ kpi_id }}' as kpi_id,
        scope,
        scope_value,
        day,
        {{ column }}::numeric as value,
        (select clock.{{ data }}_as_of from clock) as as_of
    from {{ ref(mart) }}
    where
        scope in ('fleet', 'city', 'cost_centre')
        and day in (select unnest(array[clock.day, clock.day_before]) from clock)
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

items as (

    -- The trips, stops and alarms of the weekday before: the whole, and the part that
    -- had passed by this minute.
    select
        trips.imei,
        item.kpi_id,
        item.whole,
        item.whole * coalesce(
            {{ overlap_s(
                'trips.start_time',
                'trips.end_time',
                'trips.start_time',
                "clock.trips_as_of - interval '7 days'",
            ) }} / nullif(extract(epoch from trips.end_time - trips.start_time), 0),
            (trips.start_time < clock.trips_as_of - interval '7 days')::integer
        ) as passed
    from clock
    inner join {{ ref('fact_trips') }} as trips
        on clock.start_before = trips.day_start
    inner join lateral (
        values
        ('fleet.distance', trips.distance_km),
        ('fleet.driving_time', trips.driving_time_s)
    ) as item (kpi_id, whole) on true
    union all
    select
        stops.imei,
        'fleet.idle_time' as kpi_id,
        {{ overlap_s(
            'stops.start_time', 'stops.end_time', 'clock.start_before', 'clock.end_before'
        ) }} as whole,
        {{ overlap_s(
            'stops.start_time',
            'stops.end_time',
            'clock.start_before',
            "clock.stops_as_of - interval '7 days'",
        ) }} as passed
    from clock
    inner join {{ ref('fact_stops') }} as stops
        on stops.day between clock.day_before - 1 and clock.day_before
    where stops.kind = 'idling'
    union all
    select
        stops.imei,
        'technician.service_stops' as kpi_id,
        1 as whole,
        (
            stops.start_time < clock.stops_as_of - interval '7 days'
            - {{ rule('service_stop_shortest') }} * interval '1 minute'
        )::integer as passed
    from clock
    inner join {{ ref('fact_stops') }} as stops
        on clock.day_before = stops.day
    where stops.is_service_stop
    union all
    select
        alarms.imei,
        'health.alarms' as kpi_id,
        1 as whole,
        (alarms.alarm_time < clock.alarms_as_of - interval '7 days')::integer as passed
    from clock
    inner join {{ ref('fact_alarms') }} as alarms
        on clock.day_before = alarms.day

),

devices as (

    select
        imei,
        kpi_id,
        sum(whole) as whole,
        sum(passed) as passed
    from items
    group by imei, kpi_id

),

all_measures as (

    select * from devices
    union all
    select
        imei,
        'fleet.vehicles_moved' as kpi_id,
        (whole >= {{ rule('moved_distance') }})::integer as whole,
        (passed >= {{ rule('moved_distance') }})::integer as passed
    from devices
    where kpi_id = 'fleet.distance'

),

shares as (

    select
        all_measures.kpi_id,
        cut.scope,
        cut.scope_value,
        sum(all_measures.passed) / nullif(sum(all_measures.whole), 0) as passed_share
    from clock
    inner join {{ ref('fact_daily_fleet_metrics') }} as metrics
        on clock.day_before = metrics.day
    inner join all_measures
        on metrics.imei = all_measures.imei
    {{ scopes({
        'city': 'metrics.city',
        'cost_centre': 'metrics.cost_centre',
    }) }}
    where
        metrics.is_in_service
        and metrics.has_reported
        -- Both devices of a vehicle raise alarms.
        and (metrics.is_primary_device or all_measures.kpi_id = 'health.alarms')
    group by all_measures.kpi_id, cut.scope, cut.scope_value

),

compared as (

    -- A day without any item has the value 0, of which every share is 0.
    select
        days.kpi_id,
        days.scope,
        days.scope_value,
        clock.day,
        max(days.as_of) as as_of,
        max(days.value) filter (where days.day = clock.day) as value,
        max(days.value * coalesce(shares.passed_share, 0)) filter (
            where days.day = clock.day_before
        ) as weekday_before_value
    from days
    cross join clock
    left join shares
        on
            days.kpi_id = shares.kpi_id
            and days.scope = shares.scope
            and days.scope_value = shares.scope_value
    group by days.kpi_id, days.scope, days.scope_value, clock.day

),

today as (

    select
        ---------- ids
        compared.kpi_id,
        compared.scope,
        compared.scope_value,
        compared.day,
        compared.as_of,

        ---------- the measure
        register.label,
        register.docs_path,
        case compared.kpi_id
            {% for measure in measures -%}
            when '{{ measure[0] }}' then {{ loop.index }}
            {% endfor -%}
        end::integer as importance_rank,
        register.unit,
        register.display_unit,
        register.decimals,
        compared.value::numeric(18, 3) as value,
        compared.weekday_before_value::numeric(18, 3) as weekday_before_value,
        (
            100 * (compared.value - compared.weekday_before_value)
            / nullif(compared.weekday_before_value, 0)
        )::numeric(12, 1) as change_pct
    from compared
    inner join {{ ref('kpi_register') }} as register
        on compared.kpi_id = register.kpi_id

),

worded as (

    select
        today.*,
        case when today.scope = 'fleet' then '' else today.scope_value || ': ' end
        || today.label
        || case
            when today.change_pct is null then ''
            when round(today.change_pct) = 0 then ' = as on '
            when today.change_pct > 0 then ' ▲ ' || round(today.change_pct) || ' % on '
            else ' ▼ ' || round(-today.change_pct) || ' % on '
        end
        || case
            when today.change_pct is null then ''
            else to_char(today.day - 7, 'Dy DD Mon')
        end
            as tile_label
    from today

)

select * from worded
