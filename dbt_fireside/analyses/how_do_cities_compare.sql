-- Question: How do the cities compare, for the same KPI on the same days?
-- Tag:      MONTHLY
-- Status:   Ready
-- Read:     One row per KPI and city, for the newest month. Traffic, roads and shifts
--           differ between cities. Compare a city with itself first (daily_change),
--           then with the others.

select
    register.domain,
    register.label,
    register.unit,
    monthly.scope_value as city,
    monthly.month_rollup,
    monthly.value,
    monthly.daily_change,
    monthly.known_days_count
from {{ ref('kpi_monthly') }} as monthly
inner join {{ ref('kpi_register') }} as register
    on monthly.kpi_id = register.kpi_id
where
    monthly.scope = 'city'
    and monthly.value is not null
    and monthly.month = (
        select max(newest.month)
        from {{ ref('kpi_monthly') }} as newest
    )
order by register.domain asc, register.label asc, monthly.scope_value asc
