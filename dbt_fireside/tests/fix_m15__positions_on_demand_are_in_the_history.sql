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

on_demand as (

    {{ located_fixes('location_get', newest) }}

)

select
    on_demand.imei,
    on_demand.gps_time
from on_demand
where
    not exists (
        select from {{ ref('position_history') }} as history
        where
            history.imei = on_demand.imei
            and history.gps_time = on_demand.gps_time
    )
