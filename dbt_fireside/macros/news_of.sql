{#-
The rows of a staging table that a fact takes in this run: those of the loads it claimed,
and all of a vehicle that has changed, since they carry what it was called before.
-#}
{% macro news_of(table) -%}
    select * from {{ ref(table) }}
    where {{ is_claimed('load_id') }}
    {%- if has_rows() %}

    union

    select event.*
    from ({{ changed_vehicles() }}) as changed
    inner join {{ ref(table) }} as event
        on changed.imei = event.imei
    {%- endif %}
{%- endmacro %}


{#- The devices about whose vehicle this model's rows say what no longer holds. -#}
{% macro changed_vehicles() -%}
    select vehicle.imei
    from {{ ref('dim_vehicles') }} as vehicle
    left join {{ ledger('carried_vehicles') }} as carried
        on
            carried.model = '{{ this.name }}'
            and vehicle.imei = carried.imei
    where carried.vehicle_version is distinct from vehicle.vehicle_version
{%- endmacro %}


{#-
Post-hook of all tables: note of each device which version of its vehicle the rows carry
now. config `carries_vehicles`: the facts that copy columns of dim_vehicles.
-#}
{% macro note_vehicles() %}
    {%- if config.get('carries_vehicles') %}
    insert into {{ ledger('carried_vehicles') }} as carried (model, imei, vehicle_version)
    select
        '{{ this.name }}',
        vehicle.imei,
        vehicle.vehicle_version
    from ({{ changed_vehicles() }}) as changed
    inner join {{ ref('dim_vehicles') }} as vehicle
        on changed.imei = vehicle.imei
    on conflict (model, imei) do update set vehicle_version = excluded.vehicle_version;
    {%- endif %}
{% endmacro %}
