{% set marts = [
    'kpi_fleet_utilisation_daily',
    'kpi_technician_productivity_daily',
    'kpi_field_service_daily',
    'kpi_driver_behaviour_daily',
    'kpi_dispatch_daily',
    'kpi_fuel_cost_daily',
    'kpi_vehicle_health_daily',
    'kpi_zone_activity_daily',
    'kpi_data_quality_daily',
    'kpi_pipeline_daily',
] %}

{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=marts + ['dim_dates'],
    recomputed_with=['kpi_register'],
    indexes=[
        {'columns': ['kpi_id', 'scope', 'day_start']},
        {'columns': ['day_start', 'scope']},
    ],
) }}

with

register as (

    select * from {{ ref('kpi_register') }}

),

places as (

    -- Each KPI has a row per day that is over, for the fleet and for each city and cost
    -- centre of that day; today so far is in fleet_today. An unknown value has a row
    -- with a reason. The jobs are read too, because a job may belong to a city without
    -- vehicles.
    {% for mart in ['kpi_fleet_utilisation_daily', 'kpi_field_service_daily'] -%}
    select
        mart.day,
        mart.day_start,
        mart.scope,
        mart.scope_value
    from {{ ref(mart) }} as mart
    inner join {{ ref('dim_dates') }} as dates
        on mart.day = dates.day and dates.is_over
    where
        mart.scope in ('fleet', 'city', 'cost_centre')
        and {{ has_changed('mart.day') }}
    {{ 'union' if not loop.last }}
    {% endfor %}

),

measured as (

    {% for mart in marts -%}
    select
        mart.day,
        mart.scope,
        mart.scope_value,
        figure.kpi_id,
        figure.value,
        figure.numerator,
        figure.denominator
    from {{ ref(mart) }} as mart
    inner join lateral (
        values
        (null::text, null::numeric, null::numeric, null::numeric)
        {%- for kpi in kpis() if kpi.model == mart %},
        (
            '{{ kpi.kpi_id }}',
            mart.{{ kpi.column }},
            {{ kpi.numerator or 'null' }},
            {{ kpi.denominator or 'null' }}
        )
        {%- endfor %}
    ) as figure (kpi_id, value, numerator, denominator) on figure.kpi_id is not null
    where
        mart.scope in ('fleet', 'city', 'cost_centre')
        and {{ has_changed('mart.day') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

kpi_values as (

    select
        ---------- ids
        register.kpi_id,
        places.day,
        places.day_start,
        places.scope,
        places.scope_value,

        ---------- measures
        measured.value::numeric(18, 3) as value,
        measured.numerator::numeric(18, 3) as numerator,
        measured.denominator::numeric(18, 3) as denominator,
        {{ band('measured.value', 'register') }} as band,
        case
            when measured.value is null
                then coalesce(register.gate, 'There is no data for this day.')
        end as gate_reason
    from places
    cross join register
    left join measured
        on
            places.day = measured.day
            and places.scope = measured.scope
            and places.scope_value = measured.scope_value
            and register.kpi_id = measured.kpi_id

)

select * from kpi_values
