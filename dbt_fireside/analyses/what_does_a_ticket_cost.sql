-- Question: What fuel does a closed job cost?
-- Tag:      MONTHLY
-- Status:   Blocked: jobs are not imported, and the operating rule fuel_price is not
--           known
-- Read:     One row per city and month: all fuel of the month divided by all jobs
--           closed in it. Trips without a job therefore count too. The cost is fuel
--           only; wages and materials are not in the data.

select
    fuel.month,
    fuel.scope_value as city,
    jobs.value as jobs_closed_count,
    fuel.value as fuel_cost,
    (fuel.value / nullif(jobs.value, 0))::numeric(16, 2) as fuel_cost_per_job,
    coalesce(jobs.gate_reason, fuel.gate_reason) as gate_reason
from {{ ref('kpi_monthly') }} as fuel
inner join {{ ref('kpi_monthly') }} as jobs
    on
        fuel.month = jobs.month
        and fuel.scope = jobs.scope
        and fuel.scope_value = jobs.scope_value
where
    fuel.kpi_id = 'fuel.cost'
    and jobs.kpi_id = 'field_service.jobs_closed'
    and fuel.scope = 'city'
order by fuel.month desc, fuel.scope_value asc
