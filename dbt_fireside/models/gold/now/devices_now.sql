{{ config(materialized='view') }}

with

countries as (

    select
        country,
        area::polygon as area
    from {{ ref('countries') }}

),

devices as (

    select
        imei,
        account
    from {{ ref('devices') }}

),

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

status as (

    select * from {{ ref('vehicle_status_now') }}

),

health as (

    select * from {{ ref('vehicle_health_now') }}

),

located as (

    select
        vehicles.*,
        devices.account,
        status.city as status_city,
        status.freshness,
        status.gps_time,
        status.fix_age_s,
        status.latitude,
        status.longitude,
        status.current_city,
        status.is_outside_city,
        coalesce(status.odometer_km, health.odometer_km) as known_odometer_km,
        health.km_to_service,
        (
            select countries.country
            from countries
            where countries.area @> point(status.longitude, status.latitude)
            order by countries.country
            limit 1
        ) as country,
        (
            select countries.country
            from {{ ref('dim_zones') }} as zone
            inner join countries on countries.area @> point(zone.area)
            where zone.kind = 'city' and zone.city = vehicles.assigned_city
            order by countries.country
            limit 1
        ) as assigned_country
    from vehicles
    inner join devices
        on vehicles.imei = devices.imei
    inner join status
        on vehicles.imei = status.imei
    left join health
        on vehicles.vehicle_id = health.vehicle_id

),

home as (

    -- The country of most devices is the expected country of devices without an
    -- assigned city.
    select mode() within group (order by located.country) as country
    from located

),

devices_now as (

    select
        ---------- ids
        located.imei,
        located.vehicle_id,
        located.device_name,
        located.account,

        ---------- groups
        located.status_city as city,
        located.cost_centre,

        ---------- freshness
        located.gps_time,
        located.fix_age_s,
        case
            when
                located.freshness = 'stale'
                and located.fix_age_s > 3600 * {{ rule('alert_silence') }}
                then 'silent'
            else located.freshness
        end as freshness,

        ---------- fields that are filled in
        located.assigned_city is not null as has_assigned_city,
        located.cost_centre != 'Unassigned' as has_cost_centre,
        located.driver_name is not null as has_driver_name,
        located.vehicle_number is not null as has_plate,
        located.fuel_norm_l_per_100km is not null as has_fuel_norm,

        ---------- service
        located.known_odometer_km as odometer_km,
        located.km_to_service,
        coalesce(
            located.is_primary_device
            and located.km_to_service <= {{ rule('alert_service_distance') }},
            false
        ) as is_near_service,

        ---------- place
        located.latitude,
        located.longitude,
        located.current_city,
        located.is_outside_city,
        located.country,
        coalesce(located.assigned_country, home.country) as expected_country,
        coalesce(
            located.gps_time is not null
            and located.country
            is distinct from coalesce(located.assigned_country, home.country),
            false
        ) as is_in_unexpected_country
    from located
    cross join home

)

select * from devices_now
