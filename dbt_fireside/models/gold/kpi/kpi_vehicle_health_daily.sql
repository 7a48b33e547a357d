{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'fact_alarms'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}, {'columns': ['scope', 'day']}],
) }}

with

readings as (

    -- An odometer never decreases, and it never increases by more than a vehicle can
    -- drive. Any other step leads to a counter that was set, reset or replaced, and is
    -- no distance. So all days of a vehicle are read, one row per day.
    select
        metrics.*,
        metrics.odometer_km - lag(metrics.odometer_km) over days as rise_km,
        24 * 200 * (metrics.day - lag(metrics.day) over days) as most_km
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    where
        metrics.is_primary_device
        and metrics.odometer_km is not null
    window days as (partition by metrics.imei order by metrics.day)

),

increases as (

    select
        *,
        case when rise_km < 0 or rise_km > most_km then 0 else rise_km end
            as driven_km
    from readings

),

odometers as (

    select
        imei,
        day,
        odometer_km,
        avg(driven_km) over month_before as km_per_day,
        {{ rule_for("'service_interval_' || vehicle_class", 'city') }} as interval_km
    from increases
    window
        month_before as (
            partition by imei
            order by day
            range between interval '27 days' preceding and current row
        )

),

forecasts as (

    -- While no service dates are recorded, a service is due at each multiple of the
    -- interval.
    select
        imei,
        day,
        odometer_km,
        interval_km - mod(odometer_km, nullif(interval_km, 0)) as km_to_service,
        -- Otherwise a vehicle that was pushed one metre in a month would be due in a
        -- million days.
        case
            when km_per_day >= 0.1
                then
                    (interval_km - mod(odometer_km, nullif(interval_km, 0)))
                    / km_per_day
        end as days_to_service
    from odometers

),

reports as (

    -- Both devices of a vehicle raise alarms, and the platform may raise an alarm for
    -- each of them. A tracker and a dashcam use different types for one manoeuvre.
    select
        vehicle_id,
        day,
        alarm_class,
        alarm_time - lag(alarm_time) over (
            partition by vehicle_id, day, coalesce(manoeuvre, alarm_type)
            order by alarm_time
        ) <= {{ rule('same_alarm') }} * interval '1 second' as is_same_alarm
    from {{ ref('fact_alarms') }}
    where {{ has_changed('day') }}

),

alarms as (

    select
        vehicle_id,
        day,
        count(*) as alarms_count,
        count(*) filter (where alarm_class = 'power') as power_alarms_count,
        count(*) filter (where alarm_class = 'tamper') as tamper_alarms_count
    from reports
    where is_same_alarm is not true
    group by vehicle_id, day

),

vehicle_days as (

    select
        metrics.*,
        -- The alarms of a vehicle count with its primary device.
        metrics.is_primary_device
        and bool_or(metrics.has_reported) over (
            partition by metrics.day, metrics.vehicle_id
        ) as is_heard_vehicle,
        alarms.alarms_count as vehicle_alarms_count,
        alarms.power_alarms_count as vehicle_power_alarms_count,
        alarms.tamper_alarms_count as vehicle_tamper_alarms_count,
        forecasts.odometer_km as counted_odometer_km,
        forecasts.km_to_service,
        forecasts.days_to_service,
        metrics.min_battery_pct < {{ rule('battery_low') }} as is_battery_low
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    left join forecasts
        on metrics.imei = forecasts.imei and metrics.day = forecasts.day
    left join alarms
        on metrics.vehicle_id = alarms.vehicle_id and metrics.day = alarms.day
    where
        metrics.is_in_service
        and {{ has_changed('metrics.day') }}

),

health as (

    select
        ---------- ids
        vehicle_days.day,
        vehicle_days.day_start,
        cut.scope,
        cut.scope_value,

        ---------- service
        count(vehicle_days.counted_odometer_km)::integer as odometers_count,
        avg(vehicle_days.counted_odometer_km)::numeric(12, 3) as odometer_km,
        min(vehicle_days.km_to_service)::numeric(12, 3) as km_to_service,
        min(vehicle_days.days_to_service)::numeric(9, 1) as days_to_service,

        ---------- condition; both devices of a vehicle count
        min(vehicle_days.min_battery_pct)::numeric(5, 2) as min_battery_pct,
        case
            when count(vehicle_days.is_battery_low) > 0
                then count(*) filter (where vehicle_days.is_battery_low)
        end::integer as low_batteries_count,
        min(vehicle_days.min_external_voltage_v)::numeric(7, 3)
            as min_external_voltage_v,
        sum(vehicle_days.fault_codes_count)::integer as fault_codes_count,
        {% for alarms in ['alarms', 'power_alarms', 'tamper_alarms'] -%}
        (sum(coalesce(vehicle_days.vehicle_{{ alarms }}_count, 0)) filter (
            where vehicle_days.is_heard_vehicle
        ))::integer as {{ alarms }}_count{{ ',' if not loop.last }}
        {% endfor %}
    from vehicle_days
    {{ scopes({
        'city': 'vehicle_days.city',
        'cost_centre': 'vehicle_days.cost_centre',
        'vehicle': 'vehicle_days.vehicle_id',
    }) }}
    group by vehicle_days.day, vehicle_days.day_start, cut.scope, cut.scope_value

)

select * from health
