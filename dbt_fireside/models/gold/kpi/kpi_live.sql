{{ config(materialized='view') }}

with

readiness as (

    select * from {{ ref('kpi_readiness_now') }}

),

measured as (

    select
        readiness.scope,
        readiness.scope_value,
        figure.kpi_id,
        figure.value::numeric(18, 3) as value
    from readiness
    inner join lateral (
        values
        (null::text, null::numeric)
        {%- for kpi in kpis() if kpi.model == 'kpi_readiness_now' %},
        ('{{ kpi.kpi_id }}', readiness.{{ kpi.column }}::numeric)
        {%- endfor %}
    ) as figure (kpi_id, value) on figure.kpi_id is not null

),

live as (

    select
        ---------- ids
        measured.kpi_id,
        measured.scope,
        measured.scope_value,

        ---------- the value and its band
        register.label || case
            when measured.scope = 'fleet' then ''
            else ', ' || measured.scope_value
        end as place_label,
        register.unit,
        register.decimals,
        measured.value,
        {{ band('measured.value', 'register') }} as band,
        case
            when measured.value is null then 'No device of the group has ever reported.'
        end as gate_reason,
        register.higher_base,
        register.higher_warn,
        register.higher_ok,
        register.lower_base,
        register.lower_warn,
        register.lower_critical,
        register.display_unit
    from measured
    inner join {{ ref('kpi_register') }} as register
        on measured.kpi_id = register.kpi_id

)

select * from live
