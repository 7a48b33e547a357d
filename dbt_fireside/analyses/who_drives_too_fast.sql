-- Question: Who drives above the limit, how long and by how much?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     Minutes per 100 km show who speeds often. The largest excess shows what to
--           discuss first. The limits per class are assumed. Period: the last 7 days.

select
    scope_value as vehicle_id,
    sum(speeding_events_count) as speeding_events_count,
    sum(speeding_min)::numeric(9, 1) as speeding_min,
    sum(speeding_km)::numeric(9, 1) as speeding_km,
    (100 * sum(speeding_min) / nullif(sum(distance_km), 0))::numeric(9, 2)
        as speeding_min_per_100km,
    max(worst_over_limit_kmh) as worst_over_limit_kmh,
    sum(speeding_alarms_count) as speeding_alarms_count
from {{ ref('kpi_driver_behaviour_daily') }}
where
    scope = 'vehicle'
    and day > (
        select max(newest.day) - 7
        from {{ ref('kpi_driver_behaviour_daily') }} as newest
    )
group by scope_value
order by speeding_min desc, vehicle_id asc
