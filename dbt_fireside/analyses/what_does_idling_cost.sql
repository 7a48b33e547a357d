-- Question: What has idling cost this month?
-- Tag:      DASHBOARD
-- Status:   Needs data: the operating rule fuel_price of each city
-- Read:     One row per city and day: the idle cost of the month up to the day, beside
--           the litres, which need no price. Cities are not added up, because their
--           currencies differ.

select
    day,
    scope_value as city,
    idle_fuel_l,
    idle_cost,
    idle_cost_month_to_date,
    currency
from {{ ref('kpi_fuel_cost_daily') }}
where
    scope = 'city'
    and idle_cost_month_to_date is not null
order by day desc, city asc
