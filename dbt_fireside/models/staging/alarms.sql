{{ config(
    unique_key=['imei', 'alarm_type', 'alarm_time'],
    reads_from=['alarm_reports'],
    recomputed_with=['alarm_types'],
    precedence=[],
    indexes=[{'columns': ['alarm_time']}, {'columns': ['load_id']}],
) }}

with

changed_alarms as (

    select distinct
        imei,
        alarm_type,
        alarm_time
    from {{ ref('alarm_reports') }}
    where {{ is_claimed('load_id') }}

),

reports as (

    select report.*
    from changed_alarms
    inner join {{ ref('alarm_reports') }} as report
        on
            changed_alarms.imei = report.imei
            and changed_alarms.alarm_type = report.alarm_type
            and changed_alarms.alarm_time = report.alarm_time

),

alarm_types as (

    select * from {{ ref('alarm_types') }}

),

merged as (

    -- FIX-E06: one alarm is one row. Each column comes from the best source that has
    -- it: the poll, then the push of the Open API, then the push of the IoT Hub, which
    -- sends no names. So no name is lost, in whatever order the reports arrive.
    select
        imei,
        alarm_type,
        alarm_time,
        max(source_rank) as source_rank,
        {% for column in [
            'alarm_name', 'message_class', 'positioning_time', 'speed_kmh', 'fence_id',
        ] -%}
        (
            array_agg({{ column }} order by source_rank desc)
            filter (where {{ column }} is not null)
        )[1] as {{ column }},
        {% endfor -%}
        (
            array_agg(latitude order by source_rank desc)
            filter (where latitude is not null and longitude is not null)
        )[1] as latitude,
        (
            array_agg(longitude order by source_rank desc)
            filter (where latitude is not null and longitude is not null)
        )[1] as longitude,
        max(fetched_at) as fetched_at,
        (
            array_agg(record_id order by fetched_at desc, record_id desc, load_id desc)
        )[1] as record_id,
        (
            array_agg(load_id order by fetched_at desc, record_id desc, load_id desc)
        )[1] as load_id
    from reports
    group by imei, alarm_type, alarm_time

),

named as (

    select
        ---------- ids
        merged.imei,
        merged.alarm_type,
        merged.alarm_time,
        -- Class 1 numbers its types by JT/T 808, in which 256 is a bit mask.
        coalesce(
            merged.alarm_name,
            case when merged.message_class is distinct from 1 then alarm_types.name end
        ) as alarm_name,
        case merged.source_rank
            when 3 then 'poll' when 0 then 'legacy' else 'push'
        end as source,
        merged.message_class,

        ---------- place and motion
        merged.positioning_time,
        merged.latitude::numeric(9, 6) as latitude,
        merged.longitude::numeric(9, 6) as longitude,
        merged.speed_kmh::numeric(6, 2) as speed_kmh,
        merged.fence_id,

        ---------- lineage
        merged.fetched_at,
        merged.record_id,
        merged.load_id

    from merged
    left join alarm_types
        on merged.alarm_type = alarm_types.alarm_type

)

select * from named
