{{ config(materialized='view') }}

with

used as (

    select
        register.kpi_id,
        named.rule
    from {{ ref('kpi_register') }} as register
    cross join lateral unnest(string_to_array(register.rules, ', ')) as named (rule)

),

kpi_rules as (

    select
        used.kpi_id,
        rules.rule,
        coalesce(rules.city, 'All cities') as city,
        rules.value,
        rules.unit,
        rules.agreed as is_agreed,
        rules.source
    from used
    inner join {{ ref('operating_rules') }} as rules
        on used.rule = rules.rule

)

select * from kpi_rules
