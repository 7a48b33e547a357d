-- FIX-E06
-- Was:    type and name null, the poll's alertTypeId and alarmTypeName were not read.
-- Holds:  of the polled alarms of the newest 7 days at most one in ten lacks its name,
--         and where answers came, alarms did.

with

recent as (

    select alarm_name
    from {{ ref('alarms') }}
    where
        -- The push of the IoT Hub sends no names.
        source = 'poll'
        and alarm_time > (
            select max(newest.alarm_time) - interval '7 days'
            from {{ ref('alarms') }} as newest
        )

),

named as (

    select
        count(*) as alarms_count,
        count(alarm_name) as named_count
    from recent

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
