-- FIX-E06
-- Was:    type and name were null, because the poll's alertTypeId and alarmTypeName
--         were not read.
-- Holds:  of the polled alarms of the newest 7 days, at most one in ten lacks its name.
--         If answers had records, there are alarms. The test reads alarm_reports,
--         because alarms fills in a missing name from the list of types.

with

polled as (

    select
        alarm_time,
        has_name
    from {{ ref('alarm_reports') }}
    -- The push of the IoT Hub is left out, because it sends no names.
    where reported_by = 'alarm_list'

),

named as (

    select
        count(*) as alarms_count,
        count(*) filter (where has_name) as named_count
    from polled
    where alarm_time > (
        select max(newest.alarm_time) - interval '7 days' from polled as newest
    )

)

select *
from named
where
    named_count < 0.9 * alarms_count
    or (
        alarms_count = 0
        and exists (
            select from {{ ref('ingestion_log') }} as asked
            where
                asked.method = 'jimi.device.alarm.list'
                and asked.records_count > 0
        )
    )
