{#-
The rows of a staging table that a fact takes in this run: those of the loads it claimed,
and all of a vehicle that has changed, since they carry what it was called before.
-#}
{% macro news_of(table, event_time) -%}
    select * from {{ ref(table) }}
    where {{ is_claimed('load_id') }}
    {%- if has_rows() %}

    union

    select event.*
    from {{ ref('dim_vehicles') }} as vehicle
    inner join lateral (
        select fact.vehicle_version
        from {{ this }} as fact
        where fact.imei = vehicle.imei
        order by fact.{{ event_time }} desc
        limit 1
    ) as built on true
    inner join {{ ref(table) }} as event
        on vehicle.imei = event.imei
    where built.vehicle_version is distinct from vehicle.vehicle_version
    {%- endif %}
{%- endmacro %}
