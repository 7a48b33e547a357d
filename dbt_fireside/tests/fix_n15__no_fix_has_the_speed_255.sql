-- FIX-N15
-- Was:    255, which trackers send for an unknown speed, was read as 255 km/h: an event
--         of speeding between two harsh ones.
-- Holds:  no fix, trip or alarm has this speed.

select
    imei,
    gps_time as at_time
from {{ ref('position_history') }}
where speed_kmh = 255
union all
select
    imei,
    start_time as at_time
from {{ ref('trips') }}
where max_speed_kmh = 255 or avg_speed_kmh = 255
union all
select
    imei,
    alarm_time as at_time
from {{ ref('alarms') }}
where speed_kmh = 255
