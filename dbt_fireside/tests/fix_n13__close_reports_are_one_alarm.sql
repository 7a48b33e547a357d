-- FIX-N13
-- Was:    the poll and the pushes report one alarm with times that differ by seconds,
--         and each report was an alarm of its own.
-- Holds:  of reports of a device and type that are all within the seconds of the rule
--         same_alarm, there are as many alarms as the source with the most reports has.

{% set nearby = rule('same_alarm') ~ " * interval '1 second'" %}

with

separated as (

    select
        imei,
        alarm_type,
        alarm_time,
        reported_by,
        coalesce(
            alarm_time - lag(alarm_time) over alarm_by_alarm > {{ nearby }}, true
        ) as is_first
    from {{ ref('alarm_reports') }}
    window alarm_by_alarm as (partition by imei, alarm_type order by alarm_time)

),

numbered as (

    select
        *,
        count(*) filter (where is_first) over (
            partition by imei, alarm_type order by alarm_time
        ) as group_number
    from separated

),

sources as (

    select
        imei,
        alarm_type,
        group_number,
        reported_by,
        min(alarm_time) as first_time,
        max(alarm_time) as last_time,
        count(*) as reports_count
    from numbered
    group by imei, alarm_type, group_number, reported_by

),

close_reports as (

    select
        imei,
        alarm_type,
        min(first_time) as first_time,
        max(last_time) as last_time,
        max(reports_count) as most_reports_count
    from sources
    group by imei, alarm_type, group_number
    having
        count(*) > 1
        and max(last_time) - min(first_time) <= {{ nearby }}

)

select *
from close_reports
where
    (
        select count(*)
        from {{ ref('alarms') }} as alarm
        where
            alarm.imei = close_reports.imei
            and alarm.alarm_type = close_reports.alarm_type
            and alarm.alarm_time
            between close_reports.first_time and close_reports.last_time
    ) not between 1 and most_reports_count
