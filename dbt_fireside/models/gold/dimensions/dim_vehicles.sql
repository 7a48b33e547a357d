with

devices as (

    select * from {{ ref('devices') }}

),

absences as (

    select
        imei,
        bool_or(back_day = 'infinity') as has_left,
        string_agg(left_day || ' ' || back_day, ' ' order by left_day) as known_absences
    from {{ ref('device_absences') }}
    group by imei

),

newest_fixes as (

    select * from {{ ref('newest_fixes') }}

),

located as (

    select
        devices.*,
        newest_fixes.longitude,
        newest_fixes.latitude,
        newest_fixes.gps_time,
        absences.known_absences,
        coalesce(devices.is_enabled, true) and not coalesce(absences.has_left, false)
            as is_in_service,
        max(newest_fixes.gps_time) over devices as newest_gps_time,
        -- A vehicle may have a tracker and a dashcam. The tracker ranks first.
        row_number() over (
            devices
            order by
                coalesce(devices.device_model = 'JC400P', false) asc,
                devices.imei asc
        ) as device_rank,
        string_agg(devices.imei, ',') over (
            devices order by devices.imei
            rows between unbounded preceding and unbounded following
        ) as known_devices
    from devices
    left join absences
        on devices.imei = absences.imei
    left join newest_fixes
        on devices.imei = newest_fixes.imei
    window devices as (partition by devices.vehicle_id)

),

ranked as (

    -- The primary device represents the vehicle now. It is neither a tracker that was
    -- replaced nor a device that is silent while the other one reports.
    select
        *,
        row_number() over (
            partition by vehicle_id
            order by
                is_in_service desc,
                coalesce(gps_time > newest_gps_time - interval '7 days', false) desc,
                device_rank asc
        ) = 1 as is_primary_device
    from located

),

periods as (

    select
        vehicle_id,
        max(city) filter (
            where
            {{ day_of('now()') }} >= valid_from and {{ day_of('now()') }} < valid_to
        ) as city,
        string_agg(dim_vehicle_periods::text, ' ' order by valid_from) as known_periods
    from {{ ref('dim_vehicle_periods') }} as dim_vehicle_periods
    group by vehicle_id

),

drivers as (

    select
        imei,
        string_agg(driver_name || valid_from, ', ' order by valid_from) as known_drivers
    from {{ ref('dim_drivers') }}
    group by imei

),

vehicles as (

    select
        ---------- ids
        ranked.imei,
        ranked.vehicle_id,
        ranked.is_primary_device,
        ranked.device_rank::smallint as device_rank,

        ---------- groups
        ranked.assigned_city,
        coalesce(
            periods.city,
            {{ city_at('ranked.longitude', 'ranked.latitude') }},
            'Unassigned'
        ) as city,
        coalesce(ranked.cost_centre, 'Unassigned') as cost_centre,
        ranked.vehicle_class,

        ---------- the vehicle and its device
        ranked.plate as vehicle_number,
        ranked.vehicle_name,
        ranked.vehicle_model,
        ranked.device_name,
        ranked.device_model,
        ranked.driver_name,
        ranked.fuel_norm_l_per_100km,
        ranked.activation_time,
        ranked.expiration_time,
        ranked.is_enabled,
        ranked.is_in_service,

        -- The facts copy these columns. Their rows are computed again if a column
        -- changes.
        md5(row(
            ranked.vehicle_id,
            ranked.is_primary_device,
            ranked.device_rank,
            ranked.known_devices,
            periods.known_periods,
            drivers.known_drivers,
            extract(epoch from ranked.activation_time),
            extract(epoch from ranked.expiration_time),
            ranked.is_enabled,
            ranked.known_absences,
            ranked.plate,
            ranked.driver_name
        )::text) as vehicle_version
    from ranked
    inner join periods
        on ranked.vehicle_id = periods.vehicle_id
    left join drivers
        on ranked.imei = drivers.imei

)

select * from vehicles
