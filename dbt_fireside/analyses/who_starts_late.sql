-- Question: Which vehicles leave late after the start of the shift?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     One row per vehicle: the share of working days with a late departure. The
--           same ten minutes every day are a habit or a distant depot; an occasional
--           delay is traffic. The start of the shift and the tolerance are assumed.
--           Period: the last 28 days.

select
    productivity.scope_value as vehicle_id,
    vehicles.city,
    count(productivity.tardiness_min) as working_days_count,
    sum(productivity.late_departures_count) as late_departures_count,
    avg(productivity.late_departures_pct)::numeric(5, 1) as late_departures_pct,
    avg(productivity.tardiness_min)::numeric(9, 1) as tardiness_min
from {{ ref('kpi_technician_productivity_daily') }} as productivity
inner join {{ ref('dim_vehicles') }} as vehicles
    on productivity.scope_value = vehicles.vehicle_id and vehicles.is_primary_device
where
    productivity.scope = 'vehicle'
    and productivity.day > (
        select max(newest.day) - 28
        from {{ ref('kpi_technician_productivity_daily') }} as newest
    )
group by productivity.scope_value, vehicles.city
order by late_departures_pct desc nulls last, vehicle_id asc
