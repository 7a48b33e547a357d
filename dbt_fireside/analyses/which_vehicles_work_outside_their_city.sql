-- Question: Which vehicles leave the city they are assigned to, and how often?
-- Tag:      ALERT
-- Status:   Needs data: an assigned city for each vehicle in seeds/vehicles.csv
-- Read:     One row per vehicle: the number of days outside the city, among the days
--           with a known position. A few days are help for another city; most days mean
--           that the assignment is wrong. Period: the last 28 days.

select
    dispatch.scope_value as vehicle_id,
    vehicles.assigned_city,
    count(dispatch.outside_city_count) as days_count,
    sum(dispatch.outside_city_count) as outside_days_count,
    max(dispatch.day) filter (where dispatch.outside_city_count > 0) as last_outside_day
from {{ ref('kpi_dispatch_daily') }} as dispatch
inner join {{ ref('dim_vehicles') }} as vehicles
    on dispatch.scope_value = vehicles.vehicle_id and vehicles.is_primary_device
where
    dispatch.scope = 'vehicle'
    and vehicles.assigned_city is not null
    and dispatch.day > (
        select max(newest.day) - 28
        from {{ ref('kpi_dispatch_daily') }} as newest
    )
group by dispatch.scope_value, vehicles.assigned_city
order by outside_days_count desc nulls last, vehicle_id asc
