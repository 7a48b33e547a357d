-- Question: At which hours of the day is the fleet on the road?
-- Tag:      AD-HOC
-- Status:   Ready
-- Read:     One row per city and hour of the day (EAT): the trips that start in it, on
--           working days and at weekends. A flat morning means that the shift has no
--           fixed start. Period: the last 28 days.

select
    city,
    extract(hour from start_time at time zone '{{ var("fleet_timezone") }}')::integer
        as hour_of_day,
    count(*) filter (where not is_weekend) as working_day_trips_count,
    count(*) filter (where is_weekend) as weekend_trips_count,
    sum(distance_km) as distance_km
from {{ ref('fact_trips') }}
where
    is_primary_device
    and day > (
        select max(newest.day) - 28
        from {{ ref('fact_trips') }} as newest
    )
group by
    city,
    extract(hour from start_time at time zone '{{ var("fleet_timezone") }}')::integer
order by city asc, hour_of_day asc
