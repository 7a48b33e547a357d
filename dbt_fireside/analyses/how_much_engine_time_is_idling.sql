-- Question: Which vehicles idle, and for how long?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     The vehicles are sorted by idle hours. The share of the engine time is
--           beside them. An hour of idling costs the same on a busy vehicle as on a
--           rarely used one. The litres depend on the assumed rule idle_fuel. Period:
--           the last 7 days.

select
    used.scope_value as vehicle_id,
    sum(used.idle_h)::numeric(9, 2) as idle_h,
    sum(used.driving_h)::numeric(9, 2) as driving_h,
    (
        100 * sum(used.idle_h) / nullif(sum(used.idle_h + used.driving_h), 0)
    )::numeric(5, 1) as idle_share_pct,
    sum(fuel.idle_fuel_l)::numeric(9, 1) as idle_fuel_l
from {{ ref('kpi_fleet_utilisation_daily') }} as used
left join {{ ref('kpi_fuel_cost_daily') }} as fuel
    on
        used.day = fuel.day
        and used.scope = fuel.scope
        and used.scope_value = fuel.scope_value
where
    used.scope = 'vehicle'
    and used.day > (
        select max(newest.day) - 7
        from {{ ref('kpi_fleet_utilisation_daily') }} as newest
    )
group by used.scope_value
order by idle_h desc nulls last, vehicle_id asc
