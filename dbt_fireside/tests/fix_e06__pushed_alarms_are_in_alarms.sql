-- FIX-E06
-- Was:    type and name were null, because poll and push use different fields.
-- Holds:  each of the newest 200 alarms of both pushes is a row of alarms, at most
--         same_alarm seconds away, and it has its name if one was sent.

with

pushed as (

    select
        imei,
        "alarmType" as alarm_type,
        "alarmTime" as alarm_time,
        "alarmName" as alarm_name,
        'push_openapi' as reported_by
    from {{ records('push_openapi', newest_read('push_openapi', 'alarms')) }} as sent
    where is_usable

    union all

    select
        imei,
        "alertType" as alarm_type,
        coalesce("alarmTime", "gateTime") as alarm_time,
        "alarmName" as alarm_name,
        'push_alarm' as reported_by
    from {{ records('push_alarm', newest_read('push_alarm', 'alarms')) }} as sent
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
        not exists (
            select from {{ ref('alarms') }} as alarm
            where
                alarm.imei = pushed.imei
                and alarm.alarm_type = pushed.alarm_type
                and extract(epoch from alarm.alarm_time - pushed.alarm_time)
                between -{{ rule('same_alarm') }} and {{ rule('same_alarm') }}
        )
        or (
            alarm_name is not null
            and not exists (
                select from {{ ref('alarm_reports') }} as report
                where
                    report.imei = pushed.imei
                    and report.alarm_type = pushed.alarm_type
                    and report.alarm_time = pushed.alarm_time
                    and report.reported_by = pushed.reported_by
                    and report.has_name
            )
        )
    )
