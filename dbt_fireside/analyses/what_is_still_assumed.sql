-- Question: Which figures has nobody agreed on, and which KPIs depend on them?
-- Tag:      AD-HOC
-- Status:   Ready
-- Read:     This is the agenda of the next review with the client. The rule with the
--           most KPIs is first. A rule without a value keeps its KPIs without a value.

select
    rules.rule,
    rules.city,
    rules.value,
    rules.unit,
    rules.source,
    count(*) as kpis_count,
    string_agg(register.label, ', ' order by register.label) as kpis
from {{ ref('kpi_rules') }} as rules
inner join {{ ref('kpi_register') }} as register
    on rules.kpi_id = register.kpi_id
where not rules.is_agreed
group by rules.rule, rules.city, rules.value, rules.unit, rules.source
order by kpis_count desc, rules.rule asc, rules.city asc
