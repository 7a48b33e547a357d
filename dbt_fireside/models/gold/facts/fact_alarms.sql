{% set replaced -%}
    known.imei = span.imei
    and known.alarm_type = span.alarm_type
    and known.alarm_time between span.from_time and span.to_time
{%- endset %}

{{ config(
    incremental_strategy='replace_span',
    spans='changed_alarms',
    replaced=replaced,
    unique_key=['imei', 'alarm_type', 'alarm_time'],
    geom_of=['longitude', 'latitude'],
    reads_from=['alarms'],
    recomputed_with=['dim_zones', 'alarm_types'],
    copies_vehicles=true,
    distributed_by='imei',
    indexes=[
        {'columns': ['day']},
        {'columns': ['alarm_time']},
        {'columns': ['vehicle_id', 'alarm_time']},
    ],
) }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

changed as (

    {{ changed_alarms() }}

),

new_alarms as (

    select distinct known.*
    from changed as span
    inner join {{ ref('alarms') }} as known
        on
            {{ replaced }}

),

placed as (

    select
        *,
        {{ day_of('alarm_time') }} as day,
        {{ city_at('longitude', 'latitude') }} as alarm_city
    from new_alarms

),

fact as (

    select
        ---------- ids
        placed.imei,
        placed.alarm_type,
        placed.alarm_time,
        placed.day,
        {{ start_of('placed.day') }} as day_start,
        coalesce(vehicles.vehicle_id, placed.imei) as vehicle_id,
        coalesce(vehicles.is_primary_device, true) as is_primary_device,

        ---------- groups
        coalesce(periods.city, placed.alarm_city, 'Unassigned') as city,
        coalesce(periods.cost_centre, 'Unassigned') as cost_centre,
        drivers.driver_name,

        ---------- the alarm
        placed.alarm_name,
        coalesce(alarm_types.alarm_class, 'unknown') as alarm_class,
        coalesce(alarm_types.severity, 'medium') as severity,
        alarm_types.manoeuvre,
        placed.speed_kmh,
        placed.source,

        ---------- place
        placed.latitude,
        placed.longitude,

        ---------- lineage
        placed.fetched_at as data_as_of
    from placed
    left join vehicles
        on placed.imei = vehicles.imei
    left join {{ ref('dim_vehicle_periods') }} as periods
        on
            vehicles.vehicle_id = periods.vehicle_id
            and placed.day >= periods.valid_from
            and placed.day < periods.valid_to
    left join {{ ref('alarm_types') }} as alarm_types
        on placed.alarm_type = alarm_types.alarm_type
    left join {{ ref('dim_drivers') }} as drivers
        on
            placed.imei = drivers.imei
            and placed.alarm_time >= drivers.valid_from
            and placed.alarm_time < drivers.valid_to

)

select * from fact
