{{ config(materialized='view') }}

with

shifts as (

    select
        ---------- ids
        shift_trips.day,
        dates.day_start,
        vehicles.vehicle_id,

        ---------- groups
        vehicles.city,
        vehicles.cost_centre,
        shift_trips.driver_name,

        ---------- departure and return
        shift_trips.shift_start_time,
        shift_trips.departure_time,
        (
            extract(
                epoch from shift_trips.departure_time - shift_trips.shift_start_time
            )
            / 60
        )::numeric(8, 1) as late_min,
        shift_trips.is_from_depot,
        shift_trips.return_time
    from {{ ref('shift_trips') }} as shift_trips
    inner join {{ ref('dim_dates') }} as dates
        on shift_trips.day = dates.day
    inner join {{ ref('dim_vehicles') }} as vehicles
        on
            shift_trips.imei = vehicles.imei
            and vehicles.is_primary_device
            and vehicles.is_in_service

)

select * from shifts
