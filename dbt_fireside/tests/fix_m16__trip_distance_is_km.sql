-- FIX-M16
-- Was:    metres were stored as kilometres.
-- Holds:  the median trip of the newest 7 days has a speed between 5 and 150 km/h.

with

recent as (

    select distance_km / (driving_time_s / 3600.0) as speed_kmh
    from {{ ref('trips') }}
    where
        source = 'poll'
        and distance_km > 0
        and driving_time_s > 0
        and start_time > (
            select max(newest.start_time) - interval '7 days'
            from {{ ref('trips') }} as newest
        )

),

median as (

    select
        count(*) as trips_count,
        percentile_cont(0.5) within group (order by speed_kmh) as speed_kmh
    from recent

)

select *
from median
where
    trips_count >= 20
    and speed_kmh not between 5 and 150
