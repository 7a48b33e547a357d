-- FIX-N13
-- Was:    the poll and the pushes report one alarm with times that differ by seconds,
--         and each report was an alarm of its own.
-- Holds:  two reports of different sources within the seconds of the rule same_alarm
--         are one alarm, if no third report of the device and type is near.

{% set nearby = rule('same_alarm') ~ " * interval '1 second'" %}

with

reports as (

    select
        imei,
        alarm_type,
        alarm_time,
        reported_by,
        lag(alarm_time) over alarm_by_alarm as time_before,
        lead(alarm_time) over alarm_by_alarm as next_time,
        lead(reported_by) over alarm_by_alarm as next_reported_by,
        lead(alarm_time, 2) over alarm_by_alarm as time_after
    from {{ ref('alarm_reports') }}
    window alarm_by_alarm as (
        partition by imei, alarm_type order by alarm_time, reported_by
    )

),

pairs as (

    select *
    from reports
    where
        reported_by != next_reported_by
        and next_time - alarm_time <= {{ nearby }}
        and coalesce(alarm_time - time_before > {{ nearby }}, true)
        and coalesce(time_after - next_time > {{ nearby }}, true)

)

select *
from pairs
where
    (
        select count(*)
        from {{ ref('alarms') }} as alarm
        where
            alarm.imei = pairs.imei
            and alarm.alarm_type = pairs.alarm_type
            and alarm.alarm_time between pairs.alarm_time and pairs.next_time
    ) != 1
