{{ config(materialized='view') }}

with

finished as (

    select day_start
    from {{ ref('kpi_values') }}
    where day_start < now()
    order by day_start desc
    limit 1

),

newest as (

    select
        kpi_values.kpi_id,
        kpi_values.scope,
        kpi_values.scope_value,
        kpi_values.day,
        kpi_values.day_start,
        kpi_values.value,
        kpi_values.band,
        kpi_values.gate_reason
    from {{ ref('kpi_values') }} as kpi_values
    inner join finished
        on kpi_values.day_start = finished.day_start
    where
        kpi_values.kpi_id not in (
            select live.kpi_id from {{ ref('kpi_register') }} as live
            where live.cadence = 'live'
        )

),

live as (

    -- A live KPI has no day.
    select
        kpi_id,
        scope,
        scope_value,
        null::date as day,
        now() as day_start,
        value,
        band,
        gate_reason
    from {{ ref('kpi_live') }}

)

select * from newest
union all
select * from live
