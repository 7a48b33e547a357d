{{ config(
    incremental_strategy='follow_counted',
    counted='trips',
    unique_key=['imei', 'start_time'],
    reads_from=['trips'],
    recomputed_with=['dim_zones'],
    copies_vehicles=true,
    distributed_by='imei',
    indexes=[
        {'columns': ['day_start', 'start_time']},
        {'columns': ['vehicle_id', 'start_time']},
    ],
) }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

new_trips as (

    {{ rows_in_changed_spans('trips') }}

),

placed as (

    select
        *,
        {{ day_of('start_time') }} as day,
        {{ city_at('start_longitude', 'start_latitude') }} as start_city,
        {{ city_at('end_longitude', 'end_latitude') }} as end_city,
        {{ is_at_depot('start_longitude', 'start_latitude') }} as is_from_depot,
        extract(hour from start_time at time zone '{{ var("fleet_timezone") }}')
            as start_hour
    from new_trips

),

fact as (

    select
        ---------- ids
        placed.imei,
        placed.start_time,
        placed.end_time,
        -- A trip across midnight belongs to the day on which it starts.
        placed.day,
        {{ start_of('placed.day') }} as day_start,
        coalesce(vehicles.vehicle_id, placed.imei) as vehicle_id,
        coalesce(vehicles.is_primary_device, true) as is_primary_device,

        ---------- groups
        coalesce(periods.city, placed.start_city, 'Unassigned') as city,
        coalesce(periods.cost_centre, 'Unassigned') as cost_centre,
        drivers.driver_name,
        placed.start_city,
        placed.end_city,
        placed.is_from_depot,
        extract(isodow from placed.day) in (6, 7) as is_weekend,
        placed.start_hour >= {{ rule_for("'after_hours_start'", 'placed.start_city') }}
        or placed.start_hour < {{ rule_for("'after_hours_end'", 'placed.start_city') }}
            as is_after_hours,

        ---------- measures
        placed.distance_km,
        placed.driving_time_s,
        placed.avg_speed_kmh,
        placed.max_speed_kmh,
        placed.start_odometer_km,
        placed.end_odometer_km,

        ---------- places
        placed.start_latitude,
        placed.start_longitude,
        placed.end_latitude,
        placed.end_longitude,

        ---------- lineage
        placed.source,
        placed.fetched_at as data_as_of
    from placed
    left join vehicles
        on placed.imei = vehicles.imei
    left join {{ ref('dim_vehicle_periods') }} as periods
        on
            vehicles.vehicle_id = periods.vehicle_id
            and placed.day >= periods.valid_from
            and placed.day < periods.valid_to
    left join {{ ref('dim_drivers') }} as drivers
        on
            placed.imei = drivers.imei
            and placed.start_time >= drivers.valid_from
            and placed.start_time < drivers.valid_to

)

select * from fact
