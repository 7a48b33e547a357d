{{ config(incremental_strategy='replace_all') }}

with

newest as (

    select max(day) as day from {{ ref('kpi_values') }}

),

history as (

    select
        kpi_values.*,
        register.direction,
        register.decimals
    from {{ ref('kpi_values') }} as kpi_values
    inner join {{ ref('kpi_register') }} as register
        on kpi_values.kpi_id = register.kpi_id
    cross join newest
    where
        kpi_values.scope in ('fleet', 'city')
        and kpi_values.value is not null
        and register.direction in ('higher', 'lower')
        and kpi_values.day > newest.day - 30

),

spread as (

    select
        kpi_id,
        scope,
        scope_value,
        direction,
        decimals,
        count(*) as days_count,
        percentile_cont(array[0.1, 0.25, 0.5, 0.75, 0.9]) within group (
            order by value::double precision
        ) as percentiles
    from history
    group by kpi_id, scope, scope_value, direction, decimals

),

proposals as (

    -- The target is the better quartile of the fleet's own days, the warning band
    -- begins at the worse quartile, and the critical band at the worst tenth.
    select
        kpi_id,
        scope,
        scope_value,
        days_count::integer as days_count,
        percentiles[3]::numeric(18, 3) as median,
        case direction when 'higher' then percentiles[4] else percentiles[2] end
        ::numeric(18, 3) as proposed_target,
        case direction when 'higher' then percentiles[2] else percentiles[4] end
        ::numeric(18, 3) as proposed_warn_at,
        case direction when 'higher' then percentiles[1] else percentiles[5] end
        ::numeric(18, 3) as proposed_critical_at
    from spread

)

select * from proposals
