{{ config(materialized='view') }}

{%- set staging_rows = {
    'legacy_devices': "select distinct imei from " ~ ref('device_attributes')
        ~ " where source_rank = 0",
    'legacy_trips': "select from " ~ ref('trips') ~ " where source = 'legacy'",
    'legacy_position_history': "select from " ~ ref('position_history')
        ~ " where source = 'legacy'",
    'legacy_parking_events': "select from " ~ ref('parking_events')
        ~ " where source = 'legacy'",
    'legacy_alarms': "select from " ~ ref('alarms') ~ " where source = 'legacy'",
    'legacy_device_events': "select from " ~ ref('device_events')
        ~ " where reported_by = 'legacy_device_events'",
} %}

with

imported as (

    {% for table in staging_rows -%}
    select
        '{{ table }}' as raw_table,
        count(distinct answer.record_id) as records_count
    from {{ source('raw', table) }} as answer
    inner join {{ source('raw', 'complete_loads') }} as complete
        on answer._dlt_load_id = complete.load_id
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

in_staging as (

    {% for table, rows in staging_rows.items() -%}
    select
        '{{ table }}' as raw_table,
        count(*) as kept_count
    from ({{ rows }}) as kept
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

rejected as (

    select
        source as raw_table,
        count(*) filter (where not is_kept) as rejected_count,
        count(*) filter (where is_kept) as partly_kept_count
    from {{ ref('rejected_records') }}
    where source like 'legacy\_%'
    group by source

),

trips as (

    {% set table = 'legacy_trips' -%}
    select
        record_id,
        min(distance_unit) as distance_unit
    from (
        select
            record_id,
            coalesce(
                {{ legacy_distance_unit() }},
                case when num_nonnulls(distance_km, distance_m) > 0 then 'unknown' end
            ) as distance_unit
        from {{ records(table, landed=source('raw', table)) }} as record
        where is_usable
    ) as trip
    group by record_id

),

distances as (

    select
        'legacy_trips' as raw_table,
        count(*) filter (where distance_unit = 'mm') as from_millimetres_count,
        count(*) filter (where distance_unit = 'm') as from_metres_count,
        count(*) filter (where distance_unit = 'unknown') as unknown_distance_count
    from trips

)

select
    imported.raw_table,
    imported.records_count,
    in_staging.kept_count,
    coalesce(rejected.rejected_count, 0) as rejected_count,
    coalesce(rejected.partly_kept_count, 0) as partly_kept_count,
    distances.from_millimetres_count,
    distances.from_metres_count,
    distances.unknown_distance_count
from imported
inner join in_staging
    on imported.raw_table = in_staging.raw_table
left join rejected
    on imported.raw_table = rejected.raw_table
left join distances
    on imported.raw_table = distances.raw_table
