{{ config(
    unique_key=['imei', 'driver_name', 'reported_day'],
    precedence=['-fetched_at', '-record_id', '-load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

with

reported as (

    -- An empty name changes nothing, because it does not mean that the driver has left.
    select
        imei,
        -- FIX-N04: records() rejects a name of more than 500 bytes, which no index of
        -- staging or gold could hold.
        "driverName" as driver_name,
        (fetched_at at time zone 'UTC')::date as reported_day,
        fetched_at,
        record_id,
        load_id
    from {{ records('device_list') }} as device
    where
        is_usable
        and "driverName" is not null

),

first_of_day as (

    -- The first answer of a day is enough to know when a name appeared. This keeps the
    -- table small.
    select distinct on (imei, driver_name, reported_day) *
    from reported
    order by
        imei asc, driver_name asc, reported_day asc, fetched_at asc, record_id asc,
        load_id asc

)

select * from first_of_day
