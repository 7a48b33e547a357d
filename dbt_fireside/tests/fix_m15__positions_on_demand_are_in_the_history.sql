-- FIX-M15
-- Was:    chosen vehicles could not be refreshed at once.
-- Holds:  each of the newest 200 positions fetched on demand is in the history.

{% set newest %}
    (
        select answer.*
        from {{ source('raw', 'location_get') }} as answer
        where {{ has_read('position_history', 'answer._dlt_load_id') }}
        order by answer.fetched_at desc
        limit 200
    )
{% endset %}

with

asked_for as (

    {{ located_fixes('location_get', newest) }}

)

select
    asked_for.imei,
    asked_for.gps_time
from asked_for
where
    not exists (
        select from {{ ref('position_history') }} as history
        where
            history.imei = asked_for.imei
            and history.gps_time = asked_for.gps_time
    )
