-- Question: How much fuel is used per 100 km, and how much of that is estimated?
-- Tag:      MONTHLY
-- Status:   Needs data: fuel sensors, or a norm per vehicle type
-- Read:     One row per city and month. If the estimated share is 100 %, the
--           consumption is the norm itself and says nothing about driving.

select
    monthly.month,
    monthly.scope_value as city,
    max(monthly.value) filter (where monthly.kpi_id = 'fuel.volume') as fuel_l,
    max(monthly.value) filter (where monthly.kpi_id = 'fuel.per_100km')
        as fuel_l_per_100km,
    max(monthly.value) filter (where monthly.kpi_id = 'fuel.estimated_share')
        as fuel_estimated_pct,
    max(monthly.value) filter (where monthly.kpi_id = 'fuel.co2') as co2_kg,
    max(monthly.gate_reason) filter (where monthly.kpi_id = 'fuel.volume')
        as gate_reason
from {{ ref('kpi_monthly') }} as monthly
where monthly.scope = 'city'
group by monthly.month, monthly.scope_value
order by monthly.month desc, city asc
