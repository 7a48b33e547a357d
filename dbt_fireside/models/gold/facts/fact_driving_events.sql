{#- A step leads from one fix to the next. An event belongs to the fix at its end. #}
{{ config(
    incremental_strategy='replace_span',
    unique_key=['imei', 'event_time', 'kind'],
    replaced='known.imei = span.imei'
        ~ ' and known.event_time > span.from_time'
        ~ ' and known.event_time <= span.to_time',
    copies_drivers=true,
    distributed_by='imei',
    reads_from=['position_history', 'device_drivers'],
    indexes=[{'columns': ['day']}, {'columns': ['imei', 'day']}],
) }}

-- depends_on: {{ ref('device_drivers') }}

with

changed as (

    {{ changed_spans() }}

),

limits as (

    select
        (
            select min(limits.value)
            from {{ ref('operating_rules') }} as limits
            where limits.rule like 'speed_limit_%'
        ) as lowest_speed_limit_kmh,
        {{ rule('harsh_acceleration') }} as acceleration_kmh_per_s,
        {{ rule('harsh_braking') }} as braking_kmh_per_s,
        {{ rule('harsh_cornering') }} as cornering_m_per_s2

),

fixes as (

    select
        changed.imei,
        changed.from_time,
        trail.*
    from changed
    inner join lateral ( -- noqa: ST05
        select
            fix.gps_time,
            fix.latitude,
            fix.longitude,
            fix.speed_kmh,
            extract(epoch from fix.gps_time - lag(fix.gps_time) over steps) as step_s,
            lag(fix.speed_kmh) over steps as speed_before_kmh,
            abs(fix.heading_deg - lag(fix.heading_deg) over steps) as turn_deg
        from {{ fixes_between(
            'changed.imei',
            'changed.from_time',
            "changed.to_time + interval '1 microsecond'",
        ) }} as fix
        window steps as (order by fix.gps_time)
    ) as trail on true

),

believed as (

    -- A speed that no vehicle reaches, such as 255, means that it is unknown.
    select
        imei,
        from_time,
        gps_time,
        latitude,
        longitude,
        step_s,
        turn_deg,
        case when speed_kmh <= {{ rule('fastest_car') }} then speed_kmh end
            as speed_kmh,
        case
            when speed_before_kmh <= {{ rule('fastest_car') }} then speed_before_kmh
        end as speed_before_kmh
    from fixes

),

steps as (

    select
        *,
        {{ day_of('gps_time') }} as day,
        (speed_kmh - speed_before_kmh) / nullif(step_s, 0) as gain_kmh_per_s,
        (
            (speed_kmh + speed_before_kmh) / 2 / 3.6
            * radians(least(turn_deg, 360 - turn_deg)) / nullif(step_s, 0)
        ) as lateral_m_per_s2,
        -- The mean over a longer step is the same for a harsh and an ordinary change.
        step_s <= {{ rule('harsh_step_longest') }} as is_dense
    from believed

),

events as (

    select
        steps.imei,
        steps.gps_time as event_time,
        candidate.kind,
        steps.day,
        candidate.value,
        candidate.unit,
        steps.speed_kmh,
        steps.step_s,
        steps.latitude,
        steps.longitude
    from steps
    cross join limits
    inner join lateral (
        values
        (
            'fast',
            steps.speed_kmh,
            'km/h',
            steps.speed_kmh > limits.lowest_speed_limit_kmh and steps.step_s <= 120
        ),
        (
            'harsh_acceleration',
            steps.gain_kmh_per_s,
            'km/h per s',
            steps.is_dense and steps.gain_kmh_per_s >= limits.acceleration_kmh_per_s
        ),
        (
            'harsh_braking',
            -steps.gain_kmh_per_s,
            'km/h per s',
            steps.is_dense and -steps.gain_kmh_per_s >= limits.braking_kmh_per_s
        ),
        (
            'harsh_cornering',
            steps.lateral_m_per_s2,
            'm/s2',
            steps.is_dense and steps.lateral_m_per_s2 >= limits.cornering_m_per_s2
        )
    ) as candidate (kind, value, unit, has_happened) on candidate.has_happened
    where steps.gps_time > steps.from_time

),

fact as (

    select
        ---------- ids
        events.imei,
        events.event_time,
        events.kind,
        events.day,
        {{ start_of('events.day') }} as day_start,
        drivers.driver_name,

        ---------- measures
        events.value::numeric(9, 3) as value,
        events.unit,
        events.speed_kmh,
        events.step_s::integer as step_s,
        (events.speed_kmh * events.step_s / 3600)::numeric(9, 3) as step_km,

        ---------- place
        events.latitude,
        events.longitude
    from events
    left join {{ ref('dim_drivers') }} as drivers
        on
            events.imei = drivers.imei
            and events.event_time >= drivers.valid_from
            and events.event_time < drivers.valid_to

)

select * from fact
