-- PUSH-03
-- Was:    pushed temperatures had no table.
-- Holds:  each of the newest 200 records of /pushtem is in temperature_readings, with
--         its temperature.

{% set newest = newest_read('push_tem', 'temperature_readings') %}

with

sent as (

    select
        imei,
        record_id,
        "gateTime" as reading_time,
        substring(
            {{ json_object('body') }} ->> 'temperature' from '^-?[0-9]{1,2}\.?[0-9]*$'
        ) as temperature
    from {{ records('push_tem', newest) }} as sent
    where is_usable

)

select *
from sent
where
    not exists (
        select from {{ ref('temperature_readings') }} as reading
        where
            reading.imei = sent.imei
            and reading.reading_time = sent.reading_time
    )
    or exists (
        select from {{ ref('temperature_readings') }} as reading
        where
            reading.imei = sent.imei
            and reading.reading_time = sent.reading_time
            and reading.record_id = sent.record_id
            and reading.temperature_c is null
            and sent.temperature != ''
    )
