-- PUSH-01
-- Was:    pushed events had no table.
-- Holds:  each of the newest 200 records of /pushevent is one row of device_events.

select
    sent.imei,
    sent."gateTime" as event_time,
    sent.type as event_type
from {{ records('push_event', newest_read('push_event', 'device_events')) }} as sent
where
    sent.is_usable
    and (
        select count(*)
        from {{ ref('device_events') }} as known
        where
            known.imei = sent.imei
            and known.event_time = sent."gateTime"
            and known.event_type = sent.type
    ) != 1
