{% set first_hour = hour_of('span.from_time') %}
{{ config(
    incremental_strategy='replace_span',
    unique_key=['imei', 'hour_start'],
    replaced='known.imei = span.imei'
        ~ ' and known.hour_start >= ' ~ first_hour
        ~ ' and known.hour_start <= span.to_time',
    reads_from=['position_history'],
    distributed_by='imei',
) }}

with

changed as (

    -- Whole hours are computed again. The fix before them is read too, because a step
    -- belongs to the hour in which it ends.
    select
        span.imei,
        {{ first_hour }} as first_hour,
        {{ hour_of('span.to_time') }} + interval '1 hour' as end_time,
        coalesce(
            (
                select max(fix.gps_time)
                from {{ ref('position_history') }} as fix
                where
                    fix.imei = span.imei
                    and fix.gps_time < {{ first_hour }}
                    and {{ is_evidence('fix') }}
            ),
            {{ first_hour }}
        ) as read_from
    from ({{ changed_spans() }}) as span

),

steps as (

    select
        changed.imei,
        changed.first_hour,
        trail.*
    from changed
    inner join lateral ( -- noqa: ST05
        select
            fix.gps_time,
            fix.speed_kmh,
            fix.external_voltage_v,
            fix.battery_pct,
            fix.odometer_km,
            {{ is_evidence('fix') }} as is_evidence,
            lag(fix.speed_kmh) over steps as speed_before_kmh,
            extract(epoch from fix.gps_time - lag(fix.gps_time) over steps)
            <= {{ rule('harsh_step_longest') }} as is_dense,
            {{ great_circle_km(
                'fix.latitude::double precision',
                'fix.longitude::double precision',
                'lag(fix.latitude::double precision) over steps',
                'lag(fix.longitude::double precision) over steps',
            ) }} as distance_km
        from {{ fixes_between(
            'changed.imei', 'changed.read_from', 'changed.end_time', 'true'
        ) }} as fix
        -- The first fix of a day ends no step. FIX-N11: a step leads from one believed
        -- GPS fix to the next one.
        window steps as (
            partition by {{ day_of('fix.gps_time') }}, {{ is_evidence('fix') }}
            order by fix.gps_time
        )
    ) as trail on true

),

hours as (

    select
        imei,
        {{ hour_of('gps_time') }} as hour_start,
        {{ day_of('gps_time') }} as day,
        count(*)::integer as fixes_count,
        -- Steps of a parked vehicle do not count, because they are only GPS drift.
        (sum(distance_km) filter (
            where is_evidence and (speed_kmh > 0 or speed_before_kmh > 0)
        ))::numeric(12, 6) as trail_km,
        (sum(distance_km) filter (
            where is_evidence and (speed_kmh > 0 or speed_before_kmh > 0) and is_dense
        ))::numeric(12, 6) as dense_trail_km,
        min(external_voltage_v)::numeric(7, 3) as min_external_voltage_v,
        min(battery_pct)::numeric(5, 2) as min_battery_pct,
        -- Trackers without an odometer send 0.
        max(gps_time) filter (where odometer_km > 0) as odometer_time
    from steps
    where gps_time >= first_hour
    group by imei, {{ hour_of('gps_time') }}, {{ day_of('gps_time') }}

),

fact as (

    select
        ---------- ids
        imei,
        hour_start,
        day,
        {{ start_of('day') }} as day_start,

        ---------- measures
        fixes_count,
        trail_km,
        dense_trail_km,
        min_external_voltage_v,
        min_battery_pct,
        odometer_time
    from hours

)

select * from fact
