{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=[
        'fact_daily_fleet_metrics', 'fact_trips', 'fact_alarms', 'fact_driving_events',
    ],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}],
) }}

{% set harsh_kinds = ['harsh_acceleration', 'harsh_braking', 'harsh_cornering'] %}

with

vehicle_days as (

    -- The seven days before the changed days are read too, because score_change
    -- compares a day with them.
    select
        metrics.imei,
        metrics.day,
        metrics.day_start,
        metrics.vehicle_id,
        metrics.city,
        metrics.cost_centre,
        coalesce(
            metrics.dense_trail_km
            >= {{ rule('harsh_trail_share') }} / 100 * nullif(metrics.trail_km, 0),
            false
        ) as is_dense,
        {{ rule_for("'speed_limit_' || metrics.vehicle_class", 'metrics.city') }}
            as speed_limit_kmh
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    where
        metrics.is_primary_device
        and metrics.is_in_service
        and metrics.has_reported
        and {{ has_changed('metrics.day + 7') }}

),

over_the_limit as (

    select
        events.*,
        vehicle_days.speed_limit_kmh,
        -- An event ends after two minutes below the limit.
        events.event_time - lag(events.event_time) over (
            partition by events.imei order by events.event_time
        ) <= interval '2 minutes' as is_same_event
    from {{ ref('fact_driving_events') }} as events
    inner join vehicle_days
        on events.imei = vehicle_days.imei and events.day = vehicle_days.day
    where
        events.kind = 'fast'
        and events.speed_kmh > vehicle_days.speed_limit_kmh

),

harsh_steps as (

    -- Fixes a second apart report one manoeuvre several times.
    select
        events.imei,
        events.day,
        events.driver_name,
        events.kind,
        lag(events.event_time) over (
            partition by events.imei, events.day, events.kind
            order by events.event_time
        ) >= events.event_time - {{ rule('harsh_step_longest') }} * interval '1 second'
            as is_same_event
    from {{ ref('fact_driving_events') }} as events
    inner join vehicle_days
        on events.imei = vehicle_days.imei and events.day = vehicle_days.day
    where
        events.kind != 'fast'
        and vehicle_days.is_dense

),

reports as (

    -- Both devices of a vehicle raise alarms, and the platform may raise an alarm for
    -- each of them. A tracker and a dashcam use different types for one manoeuvre.
    select
        vehicle_id,
        day,
        driver_name,
        alarm_class,
        alarm_time,
        imei,
        coalesce(manoeuvre, alarm_type) as kind,
        alarm_time - lag(alarm_time) over (
            partition by vehicle_id, day, coalesce(manoeuvre, alarm_type)
            order by alarm_time
        ) <= {{ rule('same_alarm') }} * interval '1 second' as is_same_alarm
    from {{ ref('fact_alarms') }}
    where
        alarm_class in ('harsh_driving', 'speeding')
        and {{ has_changed('day + 7') }}

),

numbered as (

    select
        *,
        count(*) filter (where is_same_alarm is not true) over (
            partition by vehicle_id, day, kind
            order by alarm_time
        ) as alarm_number
    from reports

),

alarms as (

    select
        vehicle_id,
        day,
        alarm_class,
        min(driver_name) as driver_name
    from numbered
    group by vehicle_id, day, alarm_class, kind, alarm_number

),

first_alarm as (

    -- Before the first driving alarm of the fleet, its devices may have raised none
    -- because they are not set up for it.
    select min(day) as day
    from {{ ref('fact_alarms') }}
    where alarm_class in ('harsh_driving', 'speeding')

),

items as (

    -- One row for each trip, event and alarm, with the driver at that time.
    select
        imei,
        day,
        driver_name,
        'trip' as kind,
        distance_km as km,
        driving_time_s as seconds,
        case when is_after_hours then distance_km end as after_hours_km,
        case when is_weekend then distance_km end as weekend_km,
        null::numeric as over_kmh
    from {{ ref('fact_trips') }}
    where {{ has_changed('day + 7') }}
    union all
    select
        imei,
        day,
        driver_name,
        case when is_same_event then 'speeding' else 'speeding_start' end as kind,
        step_km as km,
        step_s as seconds,
        null as after_hours_km,
        null as weekend_km,
        speed_kmh - speed_limit_kmh as over_kmh
    from over_the_limit
    union all
    select
        imei,
        day,
        driver_name,
        kind,
        null as km,
        null as seconds,
        null as after_hours_km,
        null as weekend_km,
        null as over_kmh
    from harsh_steps
    where is_same_event is not true
    union all
    select
        vehicle_days.imei,
        alarms.day,
        alarms.driver_name,
        alarms.alarm_class || '_alarm' as kind,
        null as km,
        null as seconds,
        null as after_hours_km,
        null as weekend_km,
        null as over_kmh
    from alarms
    inner join vehicle_days
        on alarms.vehicle_id = vehicle_days.vehicle_id and alarms.day = vehicle_days.day

),

vehicle_items as (

    select
        vehicle_days.*,
        items.driver_name,
        items.kind,
        items.km,
        items.seconds,
        items.after_hours_km,
        items.weekend_km,
        items.over_kmh
    from vehicle_days
    left join items
        on vehicle_days.imei = items.imei and vehicle_days.day = items.day

),

summed as (

    select
        vehicle_items.day,
        vehicle_items.day_start,
        cut.scope,
        cut.scope_value,
        coalesce(sum(vehicle_items.km) filter (
            where vehicle_items.kind = 'trip'
        ), 0) as distance_km,
        coalesce(sum(vehicle_items.km) filter (
            where vehicle_items.kind = 'trip' and vehicle_items.is_dense
        ), 0) as dense_distance_km,
        coalesce(sum(vehicle_items.after_hours_km), 0) as after_hours_km,
        count(vehicle_items.after_hours_km) as after_hours_trips_count,
        coalesce(sum(vehicle_items.weekend_km), 0) as weekend_km,
        count(*) filter (where vehicle_items.kind = 'speeding_start')
            as speeding_events_count,
        coalesce(sum(vehicle_items.seconds) filter (
            where vehicle_items.kind like 'speeding%'
        ), 0) as speeding_s,
        coalesce(sum(vehicle_items.km) filter (
            where vehicle_items.kind like 'speeding%'
        ), 0) as speeding_km,
        max(vehicle_items.over_kmh) as worst_over_limit_kmh,
        {% for kind in harsh_kinds -%}
        count(*) filter (where vehicle_items.kind = '{{ kind }}') as {{ kind }}_count,
        {% endfor -%}
        count(*) filter (where vehicle_items.kind = 'harsh_driving_alarm')
            as harsh_driving_alarms_count,
        count(*) filter (where vehicle_items.kind = 'speeding_alarm')
            as speeding_alarms_count
    from vehicle_items
    {{ scopes({
        'city': 'vehicle_items.city',
        'cost_centre': 'vehicle_items.cost_centre',
        'vehicle': 'vehicle_items.vehicle_id',
        'driver': 'vehicle_items.driver_name',
    }) }}
    group by vehicle_items.day, vehicle_items.day_start, cut.scope, cut.scope_value

),

per_distance as (

    select
        summed.*,
        -- On a distance of a few km one event would give a meaningless rate.
        {% for km in ['distance_km', 'dense_distance_km'] -%}
        case
            when summed.{{ km }} >= {{ rule('score_min_distance') }}
                then 100 / nullif(summed.{{ km }}, 0)
        end as per_100_{{ km }},
        {% endfor -%}
        case
            when summed.day >= first_alarm.day then
                {{ rule('score_weight_harsh_driving') }}
                * summed.harsh_driving_alarms_count
                + {{ rule('score_weight_speeding') }} * summed.speeding_alarms_count
        end as penalty_points
    from summed
    cross join first_alarm

),

scored as (

    select
        *,
        {{ driving_score('penalty_points', 'distance_km') }} as score
    from per_distance

),

behaviour as (

    select
        ---------- ids
        day,
        day_start,
        scope,
        scope_value,

        ---------- distance
        distance_km::numeric(14, 3) as distance_km,
        after_hours_km::numeric(14, 3) as after_hours_km,
        after_hours_trips_count::integer as after_hours_trips_count,
        weekend_km::numeric(14, 3) as weekend_km,

        ---------- speeding
        speeding_events_count::integer as speeding_events_count,
        (speeding_s / 60.0)::numeric(12, 2) as speeding_min,
        speeding_km::numeric(14, 3) as speeding_km,
        worst_over_limit_kmh::numeric(6, 2) as worst_over_limit_kmh,
        speeding_alarms_count::integer as speeding_alarms_count,

        ---------- harsh driving
        {% for kind in harsh_kinds -%}
        {{ kind }}_count::integer as {{ kind }}_count,
        (per_100_dense_distance_km * {{ kind }}_count)::numeric(9, 2)
            as {{ kind }}_per_100km,
        {% endfor -%}
        dense_distance_km::numeric(14, 3) as dense_distance_km,
        harsh_driving_alarms_count::integer as harsh_driving_alarms_count,
        (per_100_distance_km * harsh_driving_alarms_count)::numeric(9, 2)
            as harsh_driving_alarms_per_100km,

        ---------- score
        penalty_points::numeric(12, 2) as penalty_points,
        score::numeric(5, 2) as score,
        (score - avg(score) over week_before)::numeric(5, 2) as score_change
    from scored
    window week_before as (
        partition by scope, scope_value
        order by day
        range between interval '7 days' preceding and interval '1 day' preceding
    )

)

select * from behaviour
where {{ has_changed('day') }}
