-- Question: How many trips lead from one city to another?
-- Tag:      AD-HOC
-- Status:   Ready
-- Read:     One row per pair of cities where trips start and end; "elsewhere" is
--           outside all zones. Long trips between cities are transport, not field
--           service. The zones are assumed.

select
    coalesce(start_city, 'elsewhere') as from_city,
    coalesce(end_city, 'elsewhere') as to_city,
    count(*) as trips_count,
    count(distinct vehicle_id) as vehicles_count,
    sum(distance_km) as distance_km
from {{ ref('fact_trips') }}
where is_primary_device
group by start_city, end_city
order by trips_count desc, from_city asc, to_city asc
