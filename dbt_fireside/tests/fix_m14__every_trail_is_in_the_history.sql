-- FIX-M14
-- Was:    one fix a minute, gaps of 1 to 2 km.
-- Holds:  each of the newest 200 trail calls that brought five points or more left
--         fixes of its device in its window.

with

trails as (

    select
        imeis as imei,
        window_start_time,
        window_end_time
    from {{ ref('ingestion_log') }} as asked
    where
        method = 'jimi.device.track.list'
        and records_count >= 5
        and {{ has_taken('position_history', 'asked.load_id') }}
    order by start_time desc
    limit 200

)

select *
from trails
where
    not exists (
        select from {{ ref('position_history') }} as history
        where
            history.imei = trails.imei
            and history.gps_time >= trails.window_start_time
            and history.gps_time <= trails.window_end_time
    )
