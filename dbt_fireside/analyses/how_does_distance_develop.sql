-- Question: Does the fleet drive more or less than before?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     The mean of seven days evens out the weekend. Compare it with the mean of
--           the week before. Distance is given per vehicle that moved, so that new
--           vehicles do not look like growth.

select
    day,
    scope,
    scope_value,
    distance_km,
    moved_count,
    (distance_km / nullif(moved_count, 0))::numeric(9, 1) as km_per_moved_vehicle,
    avg(distance_km) over week::numeric(14, 1) as mean_of_7_days_km,
    lag(distance_km, 7) over days as week_before_km
from {{ ref('kpi_fleet_utilisation_daily') }}
where scope in ('fleet', 'city')
window
    days as (partition by scope, scope_value order by day),
    week as (
        partition by scope, scope_value
        order by day
        rows between 6 preceding and current row
    )
order by scope asc, scope_value asc, day asc
