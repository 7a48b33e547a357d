-- PUSH-04
-- Was:    pushed cell towers had no table.
-- Holds:  each of the newest 200 records of /pushlbs is in lbs_readings, with its
--         cells.

with

sent as (

    select
        imei,
        record_id,
        "gateTime" as reading_time,
        "cellList" as cells
    from {{ records('push_lbs', newest_read('push_lbs', 'lbs_readings')) }} as sent
    where is_usable

)

select *
from sent
where
    not exists (
        select from {{ ref('lbs_readings') }} as reading
        where
            reading.imei = sent.imei
            and reading.reading_time = sent.reading_time
    )
    or exists (
        select from {{ ref('lbs_readings') }} as reading
        where
            reading.imei = sent.imei
            and reading.reading_time = sent.reading_time
            and reading.record_id = sent.record_id
            and reading.cells is null
            and sent.cells != ''
    )
