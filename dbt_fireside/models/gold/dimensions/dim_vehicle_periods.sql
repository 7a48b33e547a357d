with

entries as (

    select * from {{ ref('vehicle_periods') }}

),

nights as (

    -- One night per vehicle: that of its tracker, else that of its dashcam.
    select distinct on (devices.vehicle_id, nights.day)
        devices.vehicle_id,
        nights.day,
        coalesce(nights.city, 'Unassigned') as city
    from {{ ref('fact_nights') }} as nights
    inner join {{ ref('devices') }} as devices
        on nights.imei = devices.imei
    order by
        devices.vehicle_id asc,
        nights.day asc,
        coalesce(devices.device_model = 'JC400P', false) asc,
        nights.imei asc

),

dated as (

    -- Two nights are less than 1 apart if both are among home_nights nights in a row.
    select
        *,
        (day - '2000-01-01'::date) / {{ rule('home_nights') }} as night_number,
        day - min(day) over (partition by vehicle_id) < {{ rule('home_nights') }}
            as is_first
    from nights

),

numbered as (

    select
        *,
        count(*) over (
            partition by vehicle_id, city
            order by night_number
            range between 0.999 preceding and current row
        ) as nights_in_city,
        count(*) over (
            partition by vehicle_id
            order by night_number
            range between 0.999 preceding and current row
        ) as nights_count
    from dated

),

first_homes as (

    -- The city of most of the first nights counts for all earlier time.
    select
        vehicle_id,
        '-infinity'::date as valid_from,
        (array_agg(city order by nights_count desc, first_night asc))[1] as city
    from (
        select
            vehicle_id,
            city,
            count(*) as nights_count,
            min(day) as first_night
        from dated
        where is_first
        group by vehicle_id, city
    ) as first_cities
    group by vehicle_id

),

homes_by_night as (

    -- A vehicle has another home after it has spent most of the last nights there, so a
    -- visit is not a move.
    select * from first_homes
    union all
    select
        vehicle_id,
        day as valid_from,
        city
    from numbered
    where
        not is_first
        and 2 * nights_in_city > nights_count

),

homes as (

    select *
    from (
        select
            *,
            lag(city) over (partition by vehicle_id order by valid_from) as city_before
        from homes_by_night
    ) as compared
    where city is distinct from city_before

),

starts as (

    select
        *,
        coalesce(
            lead(valid_from) over (partition by vehicle_id order by valid_from),
            'infinity'
        ) as valid_to
    from (
        select
            vehicle_id,
            valid_from
        from entries
        union
        select
            vehicle_id,
            valid_from
        from homes
    ) as both_kinds

),

described as (

    select
        starts.vehicle_id,
        starts.valid_from,
        starts.valid_to,
        entries.assigned_city,
        coalesce(
            entries.assigned_city,
            (
                select homes.city
                from homes
                where
                    homes.vehicle_id = starts.vehicle_id
                    and homes.valid_from <= starts.valid_from
                order by homes.valid_from desc
                limit 1
            )
        ) as city,
        entries.cost_centre,
        entries.vehicle_class,
        entries.fuel_norm_l_per_100km
    from starts
    inner join entries
        on
            starts.vehicle_id = entries.vehicle_id
            and starts.valid_from >= entries.valid_from
            and starts.valid_from < entries.valid_to

)

select * from described
