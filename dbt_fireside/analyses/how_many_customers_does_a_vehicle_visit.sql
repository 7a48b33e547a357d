-- Question: How many customers does a vehicle visit a day, and how long does it stay?
-- Tag:      MONTHLY
-- Status:   Ready
-- Read:     Service stops replace jobs while there is no job system. A service stop is
--           a vehicle parked outside a depot, for longer than in traffic and shorter
--           than overnight (assumed rules). Period: the last 28 days.

select
    productivity.scope_value as vehicle_id,
    vehicles.city,
    vehicles.vehicle_class,
    count(*) as days_count,
    sum(productivity.service_stops_count) as service_stops_count,
    avg(productivity.service_stops_count)::numeric(6, 1) as service_stops_per_day,
    (
        60 * sum(productivity.time_on_site_h)
        / nullif(sum(productivity.service_stops_count), 0)
    )::numeric(9, 1) as time_on_site_per_stop_min
from {{ ref('kpi_technician_productivity_daily') }} as productivity
inner join {{ ref('dim_vehicles') }} as vehicles
    on productivity.scope_value = vehicles.vehicle_id and vehicles.is_primary_device
where
    productivity.scope = 'vehicle'
    and productivity.day > (
        select max(newest.day) - 28
        from {{ ref('kpi_technician_productivity_daily') }} as newest
    )
group by productivity.scope_value, vehicles.city, vehicles.vehicle_class
order by service_stops_per_day desc, vehicle_id asc
