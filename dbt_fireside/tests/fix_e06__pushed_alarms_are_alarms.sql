-- FIX-E06
-- Was:    type and name null, poll and push call them differently.
-- Holds:  each of the newest 200 alarms of both pushes is one row of alarms, with a
--         name if one was sent.

with

pushed as (

    select
        imei,
        "alarmType" as alarm_type,
        "alarmTime" as alarm_time,
        "alarmName" as alarm_name
    from {{ records('push_openapi', newest_taken('push_openapi', 'alarms')) }} as sent
    where is_usable

    union all

    select
        imei,
        "alertType" as alarm_type,
        coalesce("alarmTime", "gateTime") as alarm_time,
        "alarmName" as alarm_name
    from {{ records('push_alarm', newest_taken('push_alarm', 'alarms')) }} as sent
    where
        is_usable
        and coalesce(upper(type), 'DEVICE') = 'DEVICE'
        and "alertType" != 'removeAlarmType'

)

select *
from pushed
where
    alarm_type is not null
    and (
        select count(*)
        from {{ ref('alarms') }} as alarm
        where
            alarm.imei = pushed.imei
            and alarm.alarm_type = pushed.alarm_type
            and alarm.alarm_time = pushed.alarm_time
            and (pushed.alarm_name is null or alarm.alarm_name is not null)
    ) != 1
