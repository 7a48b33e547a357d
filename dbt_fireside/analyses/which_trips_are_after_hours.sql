-- Question: Which trips were driven outside working hours or at the weekend?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     One row per trip, the newest first, with its destination. A call-out
--           explains many of them, so ask before judging. The working hours are
--           assumed. Period: the last 7 days.

select
    vehicle_id,
    driver_name,
    city,
    start_time at time zone '{{ var("fleet_timezone") }}' as local_start_time,
    end_time at time zone '{{ var("fleet_timezone") }}' as local_end_time,
    is_after_hours,
    is_weekend,
    distance_km,
    start_city,
    end_city
from {{ ref('fact_trips') }}
where
    is_primary_device
    and (is_after_hours or is_weekend)
    and day > (
        select max(newest.day) - 7
        from {{ ref('fact_trips') }} as newest
    )
order by start_time desc, vehicle_id asc
