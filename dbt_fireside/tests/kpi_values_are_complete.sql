-- Holds: every KPI has a row for the fleet and each city on every day that is over,
--        with either a value or a reason, and none for today.

with

places as (

    select
        used.day,
        used.scope,
        used.scope_value,
        dates.is_over
    from {{ ref('kpi_fleet_utilisation_daily') }} as used
    inner join {{ ref('dim_dates') }} as dates
        on used.day = dates.day
    where used.scope in ('fleet', 'city')

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
    (known.kpi_id is null) = places.is_over
    or (
        known.kpi_id is not null
        and (known.value is null) = (known.gate_reason is null)
    )
