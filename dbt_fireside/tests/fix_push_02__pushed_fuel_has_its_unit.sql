-- PUSH-02
-- Was:    the unit is a number where a text was expected, so the record was lost.
-- Holds:  each of the newest 200 records of /pushoil is in fuel_readings, with a unit
--         if one was sent.

with

sent as (

    select
        imei,
        record_id,
        "gateTime" as reading_time,
        {{ json_object('body') }} ->> 'unit' as unit
    from {{ records('push_oil', newest_read('push_oil', 'fuel_readings')) }} as sent
    where is_usable

)

select *
from sent
where
    not exists (
        select from {{ ref('fuel_readings') }} as reading
        where
            reading.imei = sent.imei
            and reading.reading_time = sent.reading_time
    )
    or exists (
        select from {{ ref('fuel_readings') }} as reading
        where
            reading.imei = sent.imei
            and reading.reading_time = sent.reading_time
            and reading.record_id = sent.record_id
            and reading.unit is null
            and sent.unit != ''
    )
