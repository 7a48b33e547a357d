{{ config(materialized='view') }}

with

newest as (

    select * from {{ ref('kpi_now') }}

),

compared as (

    select
        newest.*,
        week_before.value as week_before_value
    from newest
    left join {{ ref('kpi_values') }} as week_before
        on
            newest.kpi_id = week_before.kpi_id
            and newest.scope = week_before.scope
            and newest.scope_value = week_before.scope_value
            and newest.day_start - interval '7 days' = week_before.day_start

),

scoreboard as (

    select
        ---------- ids
        compared.kpi_id,
        compared.scope,
        compared.scope_value,
        compared.day,
        compared.day_start,

        ---------- the value and its band
        register.domain,
        register.label,
        register.unit,
        register.decimals,
        register.target,
        compared.value,
        case
            when compared.value is null then 'gated'
            else coalesce(compared.band, 'no band')
        end as status,
        register.higher_base,
        register.higher_warn,
        register.higher_ok,
        register.lower_base,
        register.lower_warn,
        register.lower_critical,

        ---------- trend
        compared.week_before_value,
        case
            when compared.value is null or compared.week_before_value is null
                then 'unknown'
            when compared.value = compared.week_before_value then 'unchanged'
            when compared.value > compared.week_before_value then 'up'
            else 'down'
        end
        || case
            when
                compared.value = compared.week_before_value
                or register.direction not in ('higher', 'lower')
                then ''
            when
                (compared.value > compared.week_before_value)
                = (register.direction = 'higher')
                then ', better'
            when compared.week_before_value is not null and compared.value is not null
                then ', worse'
            else ''
        end as trend,

        ---------- definition
        replace(register.kpi_status, '_', ' ') as kpi_status,
        compared.gate_reason,
        register.assumed_rules,
        register.docs_path,

        ---------- for people
        register.register_rank,
        register.display_unit,
        {{ with_unit('compared.value', 'register') }} as value_text,
        {{ with_unit('register.target', 'register') }} as target_text,
        {{ with_unit('compared.week_before_value', 'register') }} as week_before_text
    from compared
    inner join {{ ref('kpi_register') }} as register
        on compared.kpi_id = register.kpi_id

)

select * from scoreboard
