-- Holds: every KPI has a row for the fleet and each city on every day, with either a
--        value or a reason.

with

places as (

    select
        day,
        scope,
        scope_value
    from {{ ref('kpi_fleet_utilisation_daily') }}
    where scope in ('fleet', 'city')

)

select
    places.day,
    places.scope_value,
    register.kpi_id
from places
cross join {{ ref('kpi_register') }} as register
left join {{ ref('kpi_values') }} as known
    on
        places.day = known.day
        and places.scope = known.scope
        and places.scope_value = known.scope_value
        and register.kpi_id = known.kpi_id
where
    known.kpi_id is null
    or (known.value is null) = (known.gate_reason is null)
