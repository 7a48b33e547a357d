{{ config(incremental_strategy='replace_all') }}

{% set fields = {
    'assigned_city': 'text',
    'cost_centre': 'text',
    'vehicle_class': 'text',
    'fuel_norm_l_per_100km': 'numeric(6, 2)',
} %}

with

vehicles as (

    select * from {{ ref('device_vehicles') }}

),

known as (

    select
        imei,
        jsonb_object_agg(attribute, value) as field_values
    from {{ ref('device_attributes') }}
    group by imei

),

entries as (

    select
        imei,
        coalesce(valid_from, '-infinity') as valid_from,
        1 as source_rank,
        {{ fields | join(',\n        ') }}
    from {{ ref('vehicles') }}
    union all
    -- The old system has the first two fields, and the platform the others. If the seed
    -- has no class, the vehicle's icon decides.
    select
        imei,
        '-infinity' as valid_from,
        0 as source_rank,
        field_values ->> 'assigned_city' as assigned_city,
        field_values ->> 'cost_centre' as cost_centre,
        case field_values ->> 'vehicleIcon' when 'mtc' then 'motorcycle' else 'van' end
            as vehicle_class,
        nullif((field_values ->> 'fuel_100km')::numeric(6, 2), 0)
            as fuel_norm_l_per_100km
    from known

),

ranked as (

    -- The entries of all devices of a vehicle are entries of the vehicle. Those of a
    -- tracker come before those of a dashcam.
    select
        entries.*,
        vehicles.vehicle_id,
        row_number() over (
            partition by vehicles.vehicle_id
            order by
                entries.valid_from desc,
                entries.source_rank desc,
                coalesce(known.field_values ->> 'mcType' = 'JC400P', false) asc,
                entries.imei asc
        ) as entry_rank
    from entries
    inner join vehicles
        on entries.imei = vehicles.imei
    inner join known
        on entries.imei = known.imei

),

starts as (

    select
        vehicle_id,
        valid_from,
        coalesce(
            lead(valid_from) over (partition by vehicle_id order by valid_from),
            'infinity'
        ) as valid_to
    from ranked
    group by vehicle_id, valid_from

),

periods as (

    -- An empty field changes nothing, as in device_attributes.
    select
        {% for field, type in fields.items() -%}
        (
            array_agg(ranked.{{ field }} order by ranked.entry_rank)
            filter (where ranked.{{ field }} is not null)
        )[1]::{{ type }} as {{ field }},
        {% endfor -%}
        starts.vehicle_id,
        starts.valid_from,
        starts.valid_to
    from starts
    inner join ranked
        on
            starts.vehicle_id = ranked.vehicle_id
            and starts.valid_from >= ranked.valid_from
    group by starts.vehicle_id, starts.valid_from, starts.valid_to

)

select * from periods
