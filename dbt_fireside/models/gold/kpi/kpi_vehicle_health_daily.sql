{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'fact_alarms'],
    recomputed_with=['services'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}, {'columns': ['scope', 'day']}],
) }}

with

readings as (

    -- One reading per vehicle and day: that of its tracker, also on a day on which only
    -- the dashcam reports.
    select distinct on (metrics.vehicle_id, metrics.day)
        metrics.vehicle_id,
        metrics.day,
        metrics.imei,
        metrics.odometer_km
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    left join {{ ref('dim_vehicles') }} as vehicles
        on metrics.imei = vehicles.imei
    where metrics.odometer_km is not null
    order by
        metrics.vehicle_id asc,
        metrics.day asc,
        coalesce(vehicles.device_model = 'JC400P', false) asc,
        metrics.is_primary_device desc,
        metrics.imei asc

),

rises as (

    -- An odometer never decreases, and it never increases by more than a vehicle can
    -- drive. Any other step leads to a counter that was set, reset or replaced, and is
    -- no distance, as is a step to another device. So all days of a vehicle are read.
    select
        vehicle_id,
        day,
        odometer_km,
        case
            when imei = lag(imei) over days
                then odometer_km - lag(odometer_km) over days
        end as rise_km,
        24 * 200 * (day - lag(day) over days) as most_km
    from readings
    window days as (partition by vehicle_id order by day)

),

increases as (

    -- A day without a reading, such as a Sunday in the depot, keeps the last reading.
    select
        metrics.imei,
        metrics.vehicle_id,
        metrics.day,
        metrics.city,
        metrics.vehicle_class,
        rises.odometer_km,
        count(rises.day) over days as readings_count,
        case
            when rises.rise_km < 0 or rises.rise_km > rises.most_km then 0
            when rises.day is not null then rises.rise_km
            when count(rises.day) over days > 0 then 0
        end as driven_km
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    left join rises
        on metrics.vehicle_id = rises.vehicle_id and metrics.day = rises.day
    where metrics.is_primary_device
    window days as (partition by metrics.vehicle_id order by metrics.day)

),

odometers as (

    select
        imei,
        vehicle_id,
        day,
        max(odometer_km) over (partition by vehicle_id, readings_count) as odometer_km,
        avg(driven_km) over month_before as km_per_day,
        coalesce(sum(driven_km) over (partition by vehicle_id order by day), 0)
            as all_driven_km,
        {{ rule_for("'service_interval_' || vehicle_class", 'city') }} as interval_km
    from increases
    window
        month_before as (
            partition by vehicle_id
            order by day
            range between interval '27 days' preceding and current row
        )

),

names as (

    select distinct
        vehicles.vehicle_id,
        upper(regexp_replace(known.name, '[^A-Za-z0-9]', '', 'g')) as spelling
    from {{ ref('dim_vehicles') }} as vehicles
    cross join
        lateral (
            values (vehicles.vehicle_id), (vehicles.vehicle_number)
        ) as known (name)

),

services as (

    -- A whole plate may also be a part of the name: KCU-647D of Belta KCU-647D.
    select
        names.vehicle_id,
        services.service_day,
        max(services.odometer_km) as odometer_km
    from {{ ref('services') }} as services
    inner join names
        on
            services.plate = names.spelling
            or (
                length(services.plate) >= 7
                and strpos(names.spelling, services.plate) > 0
            )
    group by names.vehicle_id, services.service_day

),

driven_before as (

    select
        services.vehicle_id,
        services.service_day,
        services.odometer_km,
        coalesce(max(odometers.all_driven_km), 0) as all_driven_km
    from services
    left join odometers
        on
            services.vehicle_id = odometers.vehicle_id
            and services.service_day >= odometers.day
    group by services.vehicle_id, services.service_day, services.odometer_km

),

intervals as (

    -- Without an imported service, a service is assumed at each multiple of the
    -- interval. FIX-N12: if the counter of the service was set, reset or replaced, the
    -- days since it say how far the vehicle drove.
    select
        odometers.*,
        last_service.odometer_km is null as is_service_assumed,
        coalesce(
            odometers.interval_km - case
                when
                    odometers.odometer_km - last_service.odometer_km
                    between 0
                    and 24 * 200 * (odometers.day - last_service.service_day + 1)
                    then odometers.odometer_km - last_service.odometer_km
                when odometers.odometer_km is not null
                    then odometers.all_driven_km - last_service.all_driven_km
            end,
            odometers.interval_km
            - mod(odometers.odometer_km, nullif(odometers.interval_km, 0))
        ) as km_to_service
    from odometers
    left join
        lateral (
            select known.*
            from driven_before as known
            where
                known.vehicle_id = odometers.vehicle_id
                and known.service_day <= odometers.day
            order by known.service_day desc
            limit 1
        ) as last_service
        on true

),

forecasts as (

    select
        imei,
        day,
        odometer_km,
        km_to_service,
        case when km_to_service is not null then is_service_assumed end
            as is_service_assumed,
        -- Otherwise a vehicle that was pushed one metre in a month would be due in a
        -- million days.
        case when km_per_day >= 0.1 then km_to_service / km_per_day end
            as days_to_service
    from intervals

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
        forecasts.is_service_assumed,
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
        bool_or(vehicle_days.is_service_assumed) as is_service_assumed,

        ---------- condition; both devices of a vehicle count
        min(vehicle_days.min_battery_pct)::numeric(5, 2) as min_battery_pct,
        case
            when count(vehicle_days.is_battery_low) > 0
                then count(*) filter (where vehicle_days.is_battery_low)
        end::integer as low_batteries_count,
        min(vehicle_days.min_external_voltage_v)::numeric(7, 3)
            as min_external_voltage_v,
        {% for alarms in ['alarms', 'power_alarms', 'tamper_alarms'] -%}
        (
            sum(coalesce(vehicle_days.vehicle_{{ alarms }}_count, 0))
            filter (where vehicle_days.is_heard_vehicle)
        )::integer as {{ alarms }}_count,
        {% endfor -%}
        sum(vehicle_days.fault_codes_count)::integer as fault_codes_count
    from vehicle_days
    {{ scopes({
        'city': 'vehicle_days.city',
        'cost_centre': 'vehicle_days.cost_centre',
        'vehicle': 'vehicle_days.vehicle_id',
    }) }}
    group by vehicle_days.day, vehicle_days.day_start, cut.scope, cut.scope_value

)

select * from health
