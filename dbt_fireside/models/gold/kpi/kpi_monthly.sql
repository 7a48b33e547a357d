{{ config(materialized='view') }}

with

finished as (

    -- Only days that are over count, because an unfinished day would lower a mean.
    select
        kpi_values.*,
        date_trunc('month', kpi_values.day)::date as month,
        case
            {% for kpi in kpis() if kpi.month_rollup -%}
            when register.kpi_id = '{{ kpi.kpi_id }}' then '{{ kpi.month_rollup }}'
            {% endfor -%}
            when register.numerator is not null then 'ratio'
            when register.rollup = 'none' then 'last'
            else register.rollup
        end as month_rollup
    from {{ ref('kpi_values') }} as kpi_values
    inner join {{ ref('kpi_register') }} as register
        on kpi_values.kpi_id = register.kpi_id
    where
        kpi_values.day_start + interval '1 day' <= now()
        -- A live KPI has no month.
        and register.cadence is distinct from 'live'

),

months as (

    select
        month,
        kpi_id,
        scope,
        scope_value,
        month_rollup,
        {{ start_of('month') }} as month_start,
        count(*) as days_count,
        count(value) as known_days_count,
        count(*) filter (where band = 'warn') as warn_days_count,
        count(*) filter (where band = 'critical') as critical_days_count,
        case month_rollup
            when 'sum' then sum(value)
            when 'ratio'
                then
                    sum(numerator) filter (where denominator is not null)
                    / nullif(
                        sum(denominator) filter (where numerator is not null), 0
                    )
            when 'mean' then avg(value)
            when 'max' then max(value)
            when 'min' then min(value)
            else (
                array_agg(value order by day desc) filter (where value is not null)
            )[1]
        end as value,
        (array_agg(gate_reason order by day desc))[1] as gate_reason
    from finished
    group by month, kpi_id, scope, scope_value, month_rollup

),

compared as (

    -- Months are compared by their mean day, because they differ in length and the
    -- first month is incomplete.
    select
        *,
        case month_rollup
            when 'sum' then value / nullif(known_days_count, 0)
            else value
        end as daily_value,
        lag(month) over past = (month - interval '1 month')::date as follows
    from months
    window past as (partition by kpi_id, scope, scope_value order by month)

),

with_month_before as (

    select
        *,
        case when follows then lag(value) over past end as previous_value,
        case when follows then lag(daily_value) over past end as previous_daily_value
    from compared
    window past as (partition by kpi_id, scope, scope_value order by month)

),

kpi_monthly as (

    select
        ---------- ids
        kpi_id,
        month,
        month_start,
        scope,
        scope_value,

        ---------- measures
        month_rollup,
        value::numeric(18, 3) as value,
        daily_value::numeric(18, 3) as daily_value,
        days_count::integer as days_count,
        known_days_count::integer as known_days_count,

        ---------- change against the month before
        previous_value::numeric(18, 3) as previous_value,
        (daily_value - previous_daily_value)::numeric(18, 3) as daily_change,
        (
            100 * (daily_value - previous_daily_value)
            / nullif(abs(previous_daily_value), 0)
        )::numeric(18, 2) as change_pct,

        ---------- bands and gate
        warn_days_count::integer as warn_days_count,
        critical_days_count::integer as critical_days_count,
        case when value is null then gate_reason end as gate_reason
    from with_month_before

)

select * from kpi_monthly
