{{ config(materialized='view') }}

{#- The daily values of these KPIs cover a week, so the month is computed from jobs. -#}
{% set values_from_jobs = {
    'field_service.first_time_fix':
        '100.0 * count(*) filter (where jobs.is_first_time_fix) / count(*)',
    'field_service.mtta': 'avg(jobs.response_s) / 60',
    'field_service.mttr': 'avg(jobs.repair_s) / 60',
    'field_service.sla_compliance': '100 * avg(jobs.is_within_sla::integer)',
} %}

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
            when 'mean' then avg(value)
            when 'max' then max(value)
            when 'min' then min(value)
            else (
                array_agg(value order by day desc) filter (where value is not null)
            )[1]
        end as value_of_days,
        (array_agg(gate_reason order by day desc))[1] as gate_reason
    from finished
    group by month, kpi_id, scope, scope_value, month_rollup

),

job_months as (

    select
        {% for kpi_id, value in values_from_jobs.items() -%}
        {{ value }} as {{ kpi_id.split('.')[1] }},
        {% endfor -%}
        dates.month,
        cut.scope,
        cut.scope_value
    from {{ ref('fact_jobs') }} as jobs
    inner join {{ ref('dim_dates') }} as dates
        on jobs.closed_day = dates.day
    {{ scopes({'city': 'jobs.city', 'cost_centre': 'jobs.cost_centre'}) }}
    where dates.day_start + interval '1 day' <= now()
    group by dates.month, cut.scope, cut.scope_value

),

whole_months as (

    select
        months.*,
        case
            when months.month_rollup != 'jobs' then months.value_of_days
            {% for kpi_id in values_from_jobs -%}
            when months.kpi_id = '{{ kpi_id }}'
                then job_months.{{ kpi_id.split('.')[1] }}
            {% endfor %}
        end as value
    from months
    left join job_months
        on
            months.month = job_months.month
            and months.scope = job_months.scope
            and months.scope_value = job_months.scope_value

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
        lag(month) over months = (month - interval '1 month')::date as follows
    from whole_months
    window months as (partition by kpi_id, scope, scope_value order by month)

),

with_month_before as (

    select
        *,
        case when follows then lag(value) over months end as previous_value,
        case when follows then lag(daily_value) over months end as previous_daily_value
    from compared
    window months as (partition by kpi_id, scope, scope_value order by month)

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
