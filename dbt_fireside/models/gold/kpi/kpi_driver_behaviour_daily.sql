{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=[
        'fact_daily_fleet_metrics', 'fact_trips', 'fact_alarms', 'fact_driving_events',
    ],
    recomputed_with=['operating_rules'],
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
        {{ rule_for("'speed_limit_' || vehicles.vehicle_class", 'metrics.city') }}
            as speed_limit_kmh
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    inner join {{ ref('dim_vehicles') }} as vehicles
        on metrics.imei = vehicles.imei
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

alarms as (

    -- Both devices of a vehicle raise alarms, and the platform may raise an alarm for
    -- each of them. The same alarm at the same time counts once.
    select distinct on (vehicle_id, alarm_type, alarm_time)
        vehicle_id,
        day,
        driver_name,
        alarm_class
    from {{ ref('fact_alarms') }}
    where
        alarm_class in ('harsh_driving', 'speeding')
        and {{ has_changed('day + 7') }}
    order by
        vehicle_id asc,
        alarm_type asc,
        alarm_time asc,
        driver_name is null asc,
        is_primary_device desc,
        imei asc

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
    from {{ ref('fact_driving_events') }}
    where
        kind != 'fast'
        and {{ has_changed('day + 7') }}
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
        *,
        -- On a distance of a few km one event would give a meaningless rate.
        case
            when distance_km >= {{ rule('score_min_distance') }}
                then 100 / nullif(distance_km, 0)
        end as per_100km
    from summed

),

weighted as (

    select
        *,
        100 - per_100km * (
            {{ rule('score_weight_speeding') }} * speeding_s / 60.0
            {%- for kind in harsh_kinds %}
            + {{ rule('score_weight_' ~ kind) }} * {{ kind }}_count
            {%- endfor %}
        ) as points
    from per_distance

),

scored as (

    select
        *,
        case when points < 0 then 0 else points end as score
    from weighted

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
        (per_100km * {{ kind }}_count)::numeric(9, 2) as {{ kind }}_per_100km,
        {% endfor -%}
        (per_100km * harsh_driving_alarms_count)::numeric(9, 2)
            as harsh_driving_alarms_per_100km,

        ---------- score
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
