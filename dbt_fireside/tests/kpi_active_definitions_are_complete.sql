-- Holds: an active KPI has a table, a panel, a cadence and a reviewer.

select
    kpi_id,
    kpi_status
from {{ ref('kpi_register') }}
where
    kpi_status in ('active', 'baseline_set')
    and (
        panel is null
        or reviewer is null
        or cadence is null
        or model_name is null
    )
