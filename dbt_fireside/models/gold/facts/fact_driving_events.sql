{#- An event belongs to the fix at the end of its step. #}
{{ config(
    incremental_strategy='replace_span',
    unique_key=['imei', 'event_time', 'kind'],
    replaced='known.imei = span.imei'
        ~ ' and known.event_time > span.from_time'
        ~ ' and known.event_time <= span.to_time',
    copies_drivers=true,
    distributed_by='imei',
    reads_from=['position_history', 'device_drivers'],
    recomputed_with=['operating_rules'],
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

steps as (

    select
        *,
        {{ day_of('gps_time') }} as day,
        (speed_kmh - speed_before_kmh) / nullif(step_s, 0) as gain_kmh_per_s,
        (
            (speed_kmh + speed_before_kmh) / 2 / 3.6
            * radians(least(turn_deg, 360 - turn_deg)) / nullif(step_s, 0)
        ) as lateral_m_per_s2,
        -- Over a longer step the mean hides every harsh change, so only steps of 5 to
        -- 30 s count.
        step_s between 5 and 30 as is_dense
    from fixes

),

moments as (

    select
        steps.imei,
        steps.gps_time as event_time,
        moment.kind,
        steps.day,
        moment.value,
        moment.unit,
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
    ) as moment (kind, value, unit, is_one) on moment.is_one
    where steps.gps_time > steps.from_time

),

fact as (

    select
        ---------- ids
        moments.imei,
        moments.event_time,
        moments.kind,
        moments.day,
        {{ start_of('moments.day') }} as day_start,
        drivers.driver_name,

        ---------- measures
        moments.value::numeric(9, 3) as value,
        moments.unit,
        moments.speed_kmh,
        moments.step_s::integer as step_s,
        (moments.speed_kmh * moments.step_s / 3600)::numeric(9, 3) as step_km,

        ---------- place
        moments.latitude,
        moments.longitude
    from moments
    left join {{ ref('dim_drivers') }} as drivers
        on
            moments.imei = drivers.imei
            and moments.event_time >= drivers.valid_from
            and moments.event_time < drivers.valid_to

)

select * from fact
