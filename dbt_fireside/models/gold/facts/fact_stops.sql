{{ config(
    incremental_strategy='follow_counted',
    counted='parking_events',
    unique_key=['imei', 'start_time'],
    geom_of=['longitude', 'latitude'],
    reads_from=['parking_events'],
    recomputed_with=['dim_zones'],
    copies_vehicles=true,
    distributed_by='imei',
    indexes=[{'columns': ['day']}, {'columns': ['vehicle_id', 'start_time']}],
) }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

new_stops as (

    {{ rows_in_changed_spans('parking_events') }}

),

placed as (

    select
        *,
        {{ day_of('start_time') }} as day,
        {{ city_at('longitude', 'latitude') }} as stop_city,
        -- The smallest zone that is not a city. If a depot lies inside a fence, the
        -- stop is in the depot.
        (
            select zone.zone_id
            from {{ ref('dim_zones') }} as zone
            where
                zone.kind != 'city'
                and zone.area @> point(new_stops.longitude, new_stops.latitude)
            order by
                zone.kind = 'depot' desc, area(box(zone.area)) asc, zone.zone_id asc
            limit 1
        ) as zone_id
    from new_stops

),

fact as (

    select
        ---------- ids
        placed.imei,
        placed.start_time,
        placed.end_time,
        placed.day,
        {{ start_of('placed.day') }} as day_start,
        coalesce(vehicles.vehicle_id, placed.imei) as vehicle_id,
        coalesce(vehicles.is_primary_device, true) as is_primary_device,

        ---------- groups
        coalesce(periods.city, placed.stop_city, 'Unassigned') as city,
        coalesce(periods.cost_centre, 'Unassigned') as cost_centre,
        drivers.driver_name,

        ---------- the stop
        placed.kind,
        placed.duration_s,
        placed.zone_id,
        coalesce(zones.kind = 'depot', false) as is_at_depot,
        -- A service stop counts as a visit to a customer while there is no job system.
        -- It is a vehicle parked outside a depot, for longer than in traffic and
        -- shorter than overnight.
        coalesce(
            placed.kind = 'parked'
            and placed.latitude is not null
            and zones.kind is distinct from 'depot'
            and placed.duration_s >= 60 * {{ rule('service_stop_shortest') }}
            and placed.duration_s <= 60 * {{ rule('service_stop_longest') }},
            false
        ) as is_service_stop,

        ---------- place
        placed.latitude,
        placed.longitude,
        placed.address,

        ---------- lineage
        placed.fetched_at as data_as_of
    from placed
    left join vehicles
        on placed.imei = vehicles.imei
    left join {{ ref('dim_vehicle_periods') }} as periods
        on
            vehicles.vehicle_id = periods.vehicle_id
            and placed.day >= periods.valid_from
            and placed.day < periods.valid_to
    left join {{ ref('dim_zones') }} as zones
        on placed.zone_id = zones.zone_id
    left join {{ ref('dim_drivers') }} as drivers
        on
            placed.imei = drivers.imei
            and placed.start_time >= drivers.valid_from
            and placed.start_time < drivers.valid_to

)

select * from fact
