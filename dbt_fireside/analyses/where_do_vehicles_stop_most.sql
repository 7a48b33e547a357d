-- Question: At which places does the fleet stop most often?
-- Tag:      AD-HOC
-- Status:   Ready
-- Read:     A place is about 100 m wide. A place with many vehicles is a depot, a shop
--           or a cabinet that keeps failing, and could become a zone. Period: the last
--           28 days.

select
    city,
    latitude::numeric(8, 3) as latitude,
    longitude::numeric(8, 3) as longitude,
    count(*) as stops_count,
    count(distinct vehicle_id) as vehicles_count,
    (sum(duration_s) / 3600.0)::numeric(12, 1) as duration_h,
    bool_or(is_at_depot) as is_at_depot
from {{ ref('fact_stops') }}
where
    is_primary_device
    and kind = 'parked'
    and latitude is not null
    and day > (
        select max(newest.day) - 28
        from {{ ref('fact_stops') }} as newest
    )
group by city, latitude::numeric(8, 3), longitude::numeric(8, 3)
order by stops_count desc, latitude asc, longitude asc
limit 100
