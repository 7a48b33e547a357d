-- FIX-N05
-- Was:    a trip longer than a day with stops inside, and stops of one kind that
--         overlap, gave other states in an incremental build than in a full refresh,
--         and states that overlap.
-- Holds:  each state of a device ends when the next one starts, and only the last one
--         has no end.

with

compared as (

    select
        imei,
        start_time,
        end_time,
        lead(start_time) over (partition by imei order by start_time) as next_start_time
    from {{ ref('vehicle_states') }}

)

select * from compared
where end_time is distinct from next_start_time
