{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_alarms'],
    indexes=[{'columns': ['scope', 'day_start']}],
) }}

-- A table and not a view, because counting a year of alarms takes too long for a
-- dashboard.

with

alarms as (

    select * from {{ ref('fact_alarms') }}
    where {{ has_changed('day') }}

),

counted as (

    select
        ---------- ids
        alarms.day,
        alarms.day_start,
        cut.scope,
        cut.scope_value,
        alarms.alarm_name,
        alarms.alarm_class,
        alarms.severity,

        ---------- measures
        count(*)::integer as alarms_count
    from alarms
    {{ scopes({'city': 'alarms.city', 'cost_centre': 'alarms.cost_centre'}) }}
    group by
        alarms.day,
        alarms.day_start,
        cut.scope,
        cut.scope_value,
        alarms.alarm_name,
        alarms.alarm_class,
        alarms.severity

)

select * from counted
