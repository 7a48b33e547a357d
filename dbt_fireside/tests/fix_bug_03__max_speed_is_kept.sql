-- BUG-03
-- Was:    the vendor's maxSpeed was not read.
-- Holds:  of the newest 200 trips without a highest speed, the vendor sent none with
--         one.

{% set answers %}
    (
        select answer.*
        from {{ source('raw', 'track_mileage') }} as answer
        inner join without_max_speed
            on
                answer._dlt_load_id = without_max_speed.load_id
                and answer.record_id = without_max_speed.record_id
                and answer.fetched_at = without_max_speed.fetched_at
    )
{% endset %}

with

newest as (

    select *
    from {{ ref('trips') }}
    order by start_time desc
    limit 200

),

without_max_speed as (

    select
        load_id,
        record_id,
        fetched_at
    from newest
    where
        max_speed_kmh is null
        and source = 'poll'

)

select
    imei,
    "startTime" as start_time,
    "maxSpeed" as max_speed_kmh
from {{ records('track_mileage', answers) }} as sent
where "maxSpeed" is not null
