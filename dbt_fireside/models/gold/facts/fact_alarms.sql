{{ config(
    incremental_strategy='upsert_best',
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

-- depends_on: {{ ref('alarm_reports') }}

with

vehicles as (

    select * from {{ ref('dim_vehicles') }}

),

new_alarms as (

    {{ changed_rows_of('alarms') }}
    {%- if has_rows() %}

    union

    -- An alarm has the load_id of its newest report. A report that was fetched earlier
    -- but is stored later changes the alarm and not its load_id, so the new reports are
    -- read too.
    select alarm.*
    from {{ ref('alarm_reports') }} as report
    inner join {{ ref('alarms') }} as alarm
        on
            report.imei = alarm.imei
            and report.alarm_type = alarm.alarm_type
            and report.alarm_time = alarm.alarm_time
    where {{ is_claimed('report.load_id') }}
    {%- endif %}

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
        coalesce(vehicles.assigned_city, placed.alarm_city, 'Unassigned') as city,
        coalesce(vehicles.cost_centre, 'Unassigned') as cost_centre,
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
    left join {{ ref('alarm_types') }} as alarm_types
        on placed.alarm_type = alarm_types.alarm_type
    left join {{ ref('dim_drivers') }} as drivers
        on
            placed.imei = drivers.imei
            and placed.alarm_time >= drivers.valid_from
            and placed.alarm_time < drivers.valid_to

)

select * from fact
