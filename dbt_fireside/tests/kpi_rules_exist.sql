-- Holds: every rule that a KPI names is in operating_rules.

select
    register.kpi_id,
    named.rule
from {{ ref('kpi_register') }} as register
cross join lateral unnest(string_to_array(register.rules, ', ')) as named (rule)
where
    not exists (
        select from {{ ref('operating_rules') }} as known
        where known.rule = named.rule
    )
