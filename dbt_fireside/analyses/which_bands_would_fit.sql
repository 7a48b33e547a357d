-- Question: Which bands would fit the fleet as it is?
-- Tag:      MONTHLY
-- Status:   Ready
-- Read:     One row per KPI and place: bands proposed from the fleet's own last 30
--           days, beside the agreed ones. A proposal starts the talk with the client
--           and is never a target by itself. With few days it is not reliable.

select
    register.domain,
    register.label,
    register.unit,
    proposals.scope_value as place,
    proposals.days_count,
    proposals.median,
    proposals.proposed_target,
    proposals.proposed_warn_at,
    proposals.proposed_critical_at,
    register.target as agreed_target,
    register.warn_at as agreed_warn_at,
    register.critical_at as agreed_critical_at
from {{ ref('kpi_band_proposals') }} as proposals
inner join {{ ref('kpi_register') }} as register
    on proposals.kpi_id = register.kpi_id
order by register.domain asc, register.label asc, proposals.scope_value asc
