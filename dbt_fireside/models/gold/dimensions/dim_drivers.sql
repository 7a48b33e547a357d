with

reports as (

    select
        imei,
        driver_name,
        fetched_at,
        lag(driver_name) over (
            partition by imei order by fetched_at, driver_name
        ) as driver_before
    from {{ ref('device_drivers') }}

),

changes as (

    select
        imei,
        driver_name,
        fetched_at,
        lag(fetched_at) over (partition by imei order by fetched_at, driver_name)
            as changed_before,
        lead(fetched_at) over (partition by imei order by fetched_at, driver_name)
            as changed_after
    from reports
    where driver_name is distinct from driver_before

),

drivers as (

    -- The first known driver counts for all earlier time.
    select
        imei,
        case
            when changed_before is null then '-infinity'
            else fetched_at
        end as valid_from,
        coalesce(changed_after, 'infinity') as valid_to,
        driver_name
    from changes
    -- Two names at the same instant would give a period without length.
    where changed_after is distinct from fetched_at

)

select * from drivers
