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
    reads_from=['alarm_reports'],
    recomputed_with=['alarm_types'],
    indexes=[{'columns': ['alarm_time']}, {'columns': ['load_id']}],
) }}

{% set nearby = rule('same_alarm') ~ " * interval '1 second'" %}

with

changed as (

    {{ changed_alarms() }}

),

reports as (

    select
        known.*,
        coalesce(known.has_alarm_time, true) as is_timed
    from changed as span
    inner join {{ ref('alarm_reports') }} as known
        on
            {{ replaced }}

),

alarm_types as (

    select * from {{ ref('alarm_types') }}

),

separated as (

    select
        *,
        coalesce(
            alarm_time - lag(alarm_time) over (
                partition by imei, alarm_type order by alarm_time
            ) > {{ nearby }},
            true
        )::integer as is_first
    from reports

),

grouped as (

    -- Reports of a device and type that follow each other closely.
    select
        *,
        sum(is_first) over (partition by imei, alarm_type order by alarm_time)
            as group_number
    from separated

),

counted as (

    select
        *,
        count(*) over (
            partition by imei, alarm_type, group_number, reported_by, is_timed
        ) as reports_count
    from grouped

),

compared as (

    -- One source does not report one alarm with two times. So the source with the most
    -- reports in a group says how many alarms there were, and when.
    select
        *,
        rank() over (
            partition by imei, alarm_type, group_number
            order by is_timed desc, reports_count desc, source_rank desc
        ) = 1 as is_leading
    from counted

),

neighbours as (

    select
        *,
        max(alarm_time) filter (where is_leading) over (
            partition by imei, alarm_type, group_number order by alarm_time asc
        ) as time_before,
        min(alarm_time) filter (where is_leading) over (
            partition by imei, alarm_type, group_number order by alarm_time desc
        ) as time_after
    from compared

),

matched as (

    -- FIX-N13: the poll and the pushes report one alarm with times that differ by
    -- seconds. A report belongs to the nearest alarm of the leading source.
    select
        *,
        case
            when
                alarm_time - time_before
                <= least(time_after - alarm_time, {{ nearby }})
                then time_before
            when time_after - alarm_time <= {{ nearby }} then time_after
            else alarm_time
        end as matched_time
    from neighbours

),

merged as (

    -- FIX-E06: one alarm is one row. Each column comes from the best source that has
    -- it: the poll, then the push of the Open API, then the push of the IoT Hub, which
    -- sends no names. So no name is lost, in whatever order the reports arrive.
    select
        imei,
        alarm_type,
        matched_time as alarm_time,
        max(source_rank) as source_rank,
        {% for column in [
            'alarm_name', 'message_class', 'positioning_time', 'speed_kmh', 'fence_id',
        ] -%}
        (
            array_agg({{ column }} order by source_rank desc, alarm_time asc)
            filter (where {{ column }} is not null)
        )[1] as {{ column }},
        {% endfor -%}
        (
            array_agg(latitude order by source_rank desc, alarm_time asc)
            filter (where latitude is not null and longitude is not null)
        )[1] as latitude,
        (
            array_agg(longitude order by source_rank desc, alarm_time asc)
            filter (where latitude is not null and longitude is not null)
        )[1] as longitude,
        max(fetched_at) as fetched_at,
        (
            array_agg(record_id order by fetched_at desc, record_id desc, load_id desc)
        )[1] as record_id,
        (
            array_agg(load_id order by fetched_at desc, record_id desc, load_id desc)
        )[1] as load_id
    from matched
    group by imei, alarm_type, matched_time

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
