-- BUG-02
-- Was:    distance_m of the old system holds millimetres.
-- Holds:  the median imported trip has a speed between 1 and 150 km/h. The test reads
--         the 1,000 oldest trips, because imported trips are the oldest.

with

oldest as (

    select
        source,
        distance_km,
        driving_time_s
    from {{ ref('trips') }}
    order by start_time asc
    limit 1000

),

median as (

    select
        count(*) as trips_count,
        percentile_cont(0.5) within group (
            order by distance_km / (driving_time_s / 3600.0)
        ) as speed_kmh
    from oldest
    where
        source = 'legacy'
        and distance_km > 0
        and driving_time_s > 0

)

select *
from median
where
    trips_count >= 10
    and speed_kmh not between 1 and 150
