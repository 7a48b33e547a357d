-- Question: Which KPIs have no value, and what is missing?
-- Tag:      MONTHLY
-- Status:   Ready
-- Read:     One row per reason, on the newest day that is over, for the fleet.
--           gate_reason says what to fill in. One row of a seed or one field in the
--           vendor's platform often gives several KPIs a value.

select
    newest.gate_reason,
    count(*) as kpis_count,
    string_agg(register.label, ', ' order by register.label) as kpis
from {{ ref('kpi_now') }} as newest
inner join {{ ref('kpi_register') }} as register
    on newest.kpi_id = register.kpi_id
where
    newest.scope = 'fleet'
    and newest.value is null
group by newest.gate_reason
order by kpis_count desc, newest.gate_reason asc
