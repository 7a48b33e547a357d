-- FIX-M14
-- Was:    the trail had one fix a minute, with gaps of 1 to 2 km.
-- Holds:  for each load of the newest 200 trail calls with five points or more, the
--         first 1,000 points are in the history. Some of them may come from pushes.

{% set landed %}
    (
        select answer.*
        from (
            select
                calls.load_id,
                min(calls.start_time) as first_call_time
            from (
                select
                    load_id,
                    start_time
                from {{ ref('ingestion_log') }} as call
                where
                    method = 'jimi.device.track.list'
                    and records_count >= 5
                    and {{ has_read('position_history', 'call.load_id') }}
                order by start_time desc
                limit 200
            ) as calls
            group by calls.load_id
        ) as trail_load
        inner join lateral (
            select point.*
            from {{ source('raw', 'track_list') }} as point
            where
                point._dlt_load_id = trail_load.load_id
                and point.fetched_at >= trail_load.first_call_time
            limit 1000
        ) as answer on true
    )
{% endset %}

with

trail as (

    select
        imei,
        "gpsTime" as gps_time
    from {{ records('track_list', landed) }} as located
    where
        is_usable
        and not (lat = 0 and lng = 0)

)

select
    trail.imei,
    trail.gps_time
from trail
where
    not exists (
        select from {{ ref('position_history') }} as history
        where
            history.imei = trail.imei
            and history.gps_time = trail.gps_time
    )
