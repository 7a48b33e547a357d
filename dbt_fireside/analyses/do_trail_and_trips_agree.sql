-- Question: Does the distance of the trips agree with the length of the trail?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     The ratio should be near 100 %. If all devices are far off, the vendor
--           changed something or a unit is wrong. If one device is far off, it loses
--           fixes (ratio below 100 %) or its positions drift (above 100 %). Period: the
--           last 7 days, for devices with 20 km or more.

select
    imei,
    vehicle_id,
    sum(distance_km) as distance_km,
    sum(trail_km) as trail_km,
    (100 * sum(trail_km) / sum(distance_km))::numeric(12, 1) as trail_to_trips_pct,
    sum(fixes_count) as fixes_count
from {{ ref('fact_daily_fleet_metrics') }}
where
    day > (
        select max(newest.day) - 7
        from {{ ref('fact_daily_fleet_metrics') }} as newest
    )
group by imei, vehicle_id
having sum(distance_km) >= 20
order by abs(100 * sum(trail_km) / sum(distance_km) - 100) desc nulls first, imei asc
