{{ config(materialized='view') }}

{#- Repeated where it is used, so that a query without the city skips it. #}
{% set current_city = city_at('positions.longitude', 'positions.latitude') %}
{% set class_limit = "'speed_limit_' || moving.vehicle_class" %}
{% set speed_limit = rule_for(class_limit, 'moving.city') %}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}
    where is_in_service

),

positions as (

    select
        *,
        -- A clock may be some minutes ahead (rule clock_ahead).
        greatest(extract(epoch from now() - gps_time)::integer, 0) as fix_age_s
    from {{ ref('live_positions') }}

),

placed as (

    select
        ---------- ids
        vehicles.imei,
        vehicles.vehicle_id,
        vehicles.is_primary_device,

        ---------- groups
        vehicles.city,
        vehicles.cost_centre,
        vehicles.vehicle_class,
        vehicles.driver_name,

        ---------- freshness
        positions.gps_time,
        positions.fix_age_s,
        case
            when positions.gps_time is null then 'never_reported'
            when
                positions.fix_age_s < 3600 * {{ rule('fresh_fix_age') }}
                then 'fresh'
            else 'stale'
        end as freshness,

        ---------- position and motion
        positions.latitude,
        positions.longitude,
        positions.speed_kmh,
        positions.heading_deg,
        positions.is_ignition_on,
        positions.odometer_km,
        positions.external_voltage_v,
        positions.battery_pct,
        {{ current_city }} as current_city,
        case
            when vehicles.assigned_city is null or positions.gps_time is null then false
            else coalesce({{ current_city }} != vehicles.assigned_city, true)
        end as is_outside_city
    from vehicles
    left join positions
        on vehicles.imei = positions.imei

),

moving as (

    select
        *,
        case
            when freshness = 'never_reported' then freshness
            when freshness = 'stale' then 'no_signal'
            when speed_kmh > 0 then 'driving'
            when is_ignition_on then 'idling'
            else 'parked'
        end as state
    from placed

),

status as (

    select
        *,
        {{ state_code('state') }} as state_code,
        -- The start of the state, from trips and stops; null while they still show
        -- another state.
        (
            select case when known.state = moving.state then known.start_time end
            from {{ ref('vehicle_states') }} as known
            where known.imei = moving.imei
            order by known.start_time desc
            limit 1
        ) as state_since_time,
        {{ speed_limit }}::numeric(7, 2) as speed_limit_kmh,
        coalesce(
            state = 'driving'
            -- The lowest of all limits is compared first. Most speeds are below it, and
            -- then the rule of the class need not be looked up.
            and speed_kmh > (
                select min(lowest.value) from {{ ref('operating_rules') }} as lowest
                where lowest.rule like 'speed_limit_%'
            )
            and speed_kmh > {{ speed_limit }},
            false
        ) as is_too_fast
    from moving

)

select * from status
