{{ config(
    unique_key=['imei', 'listed_day'],
    precedence=['-fetched_at', '-record_id', '-load_id'],
) }}

with

listed as (

    select
        imei,
        {{ day_of('fetched_at') }} as listed_day,
        fetched_at,
        record_id,
        load_id
    from {{ records('device_list') }} as device
    where is_usable

),

first_of_day as (

    select distinct on (imei, listed_day) *
    from listed
    order by imei asc, listed_day asc, fetched_at asc, record_id asc, load_id asc

)

select * from first_of_day
