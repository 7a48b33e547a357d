{#-
Rows of a staging table that a fact computes in this run. They are the rows of its claimed loads
and all rows of a device whose vehicle has changed, because the fact copies columns of
dim_vehicles.
    select * from trips where load_id in (…) union select event.* from (…) as changed …
-#}
{% macro changed_rows_of(table) -%}
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


{#-
Devices whose row in dim_vehicles has changed since this model copied its columns.
    select vehicle.imei from dim_vehicles as vehicle left join …carried_vehicles as carried …
-#}
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
Post-hook of the facts that copy columns of dim_vehicles (config `copies_vehicles`): for each
device, note the version of its row in dim_vehicles that the fact now holds.
    insert into …carried_vehicles as carried (model, imei, vehicle_version) select … on conflict …
-#}
{% macro note_copied_vehicles() %}
    {%- if config.get('copies_vehicles') %}
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
