with

devices as (

    select
        *,
        coalesce(vehicle_id, vehicle_number, device_name, imei) as known_vehicle_id,
        coalesce(cost_centre, 'Unassigned') as known_cost_centre
    from {{ ref('devices') }}

),

ranked as (

    -- A vehicle may carry a tracker and a dashcam: count the tracker.
    select
        *,
        row_number() over (
            partition by known_vehicle_id
            order by coalesce(device_model = 'JC400P', false) asc, imei asc
        ) = 1 as is_primary_device
    from devices

),

drivers as (

    select
        imei,
        string_agg(driver_name || valid_from, ', ' order by valid_from) as known_drivers
    from {{ ref('dim_drivers') }}
    group by imei

),

newest_fixes as (

    select * from {{ ref('newest_fixes') }}

),

vehicles as (

    select
        ---------- ids
        ranked.imei,
        ranked.known_vehicle_id as vehicle_id,
        ranked.is_primary_device,

        ---------- what people cut by
        ranked.assigned_city,
        coalesce(
            ranked.assigned_city,
            {{ city_at('newest_fixes.longitude', 'newest_fixes.latitude') }},
            'Unassigned'
        ) as city,
        ranked.known_cost_centre as cost_centre,
        -- The icon that somebody chose for it, while the client's list names no class.
        coalesce(
            ranked.vehicle_class,
            case ranked.vehicle_icon when 'mtc' then 'motorcycle' else 'van' end
        ) as vehicle_class,

        ---------- the vehicle and its device
        ranked.vehicle_number,
        ranked.vehicle_name,
        ranked.vehicle_model,
        ranked.device_name,
        ranked.device_model,
        ranked.driver_name,
        ranked.fuel_norm_l_per_100km,
        ranked.activation_time,
        ranked.expiration_time,
        ranked.is_enabled,

        -- The facts copy these from here and are recomputed when one of them changes.
        md5(row(
            ranked.known_vehicle_id,
            ranked.is_primary_device,
            ranked.assigned_city,
            ranked.known_cost_centre,
            ranked.fuel_norm_l_per_100km,
            ranked.vehicle_class,
            ranked.vehicle_icon,
            drivers.known_drivers,
            extract(epoch from ranked.activation_time),
            extract(epoch from ranked.expiration_time),
            ranked.is_enabled
        )::text) as vehicle_version
    from ranked
    left join newest_fixes
        on ranked.imei = newest_fixes.imei
    left join drivers
        on ranked.imei = drivers.imei

)

select * from vehicles
