{{ config(materialized='view') }}

with

health as (

    select *
    from {{ ref('kpi_vehicle_health_daily') }}
    where
        scope = 'vehicle'
        and day = (select max(dates.day) from {{ ref('dim_dates') }} as dates)

),

described as (

    select
        ---------- ids
        vehicles.vehicle_id,
        health.day,
        health.day_start,

        ---------- groups
        vehicles.city,
        vehicles.cost_centre,
        vehicles.vehicle_class,
        vehicles.driver_name,

        ---------- service
        health.odometer_km,
        health.km_to_service,
        health.days_to_service,
        health.day + ceil(health.days_to_service)::integer as service_day,

        ---------- condition
        health.min_battery_pct,
        health.min_external_voltage_v,
        health.low_batteries_count > 0 as is_battery_low,
        health.fault_codes_count,
        health.alarms_count,
        health.power_alarms_count,
        health.tamper_alarms_count,
        health.is_service_assumed,
        case
            when health.km_to_service < 0 then 'overdue'
            when health.km_to_service <= {{ rule('alert_service_distance') }}
                then 'due soon'
            when health.km_to_service is not null then 'later'
        end as service_status
    from health
    inner join {{ ref('dim_vehicles') }} as vehicles
        on
            health.scope_value = vehicles.vehicle_id
            and vehicles.is_primary_device
            and vehicles.is_in_service

)

select * from described
