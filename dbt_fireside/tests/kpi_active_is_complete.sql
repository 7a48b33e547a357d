-- Holds: an active KPI names its query, panel, cadence and reviewer.

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
