{#- A visit at the edge of a span may continue beyond it. Midnight ends every visit. -#}
{% set replaced -%}
known.imei = span.imei
            and known.day >= span.first_day
            and known.exit_time >= span.from_time
            and known.entry_time <= span.to_time
{%- endset %}
{{ config(
    incremental_strategy='replace_span',
    unique_key=['imei', 'zone_id', 'entry_time'],
    replaced=replaced,
    distributed_by='imei',
    reads_from=['position_history'],
    recomputed_with=['dim_zones'],
    indexes=[
        {'columns': ['day']},
        {'columns': ['imei', 'day']},
        {'columns': ['day_start', 'entry_time']},
    ],
) }}

with

changed as (

    {{ changed_spans() }}

),

zones as (

    select * from {{ ref('dim_zones') }}

),

fixes as (

    -- A fix is valid until the next fix, but only while it is fresh. If the next fix is
    -- at the same place, the fix is valid until then, because a parked tracker may send
    -- no fix all night. FIX-N03: after a longer silence nobody knows where it was.
    select
        changed.imei,
        trail.start_time,
        trail.place,
        trail.next_time,
        trail.next_place,
        case
            when
                trail.place <-> trail.next_place
                < {{ degrees_of(rule('same_place_distance')) }}
                and trail.next_time - trail.start_time
                <= {{ rule('parked_silence') }} * interval '1 hour'
                then 'infinity'
            else trail.start_time + {{ rule('fresh_fix_age') }} * interval '1 hour'
        end as stale_time
    from changed
    inner join lateral ( -- noqa: ST05
        select
            fix.gps_time as start_time,
            point(fix.longitude, fix.latitude) as place,
            lead(fix.gps_time) over steps as next_time,
            lead(point(fix.longitude, fix.latitude)) over steps as next_place
        from {{ fixes_between(
            'changed.imei',
            'changed.from_time',
            "changed.to_time + interval '1 microsecond'",
        ) }} as fix
        window steps as (order by fix.gps_time)
    ) as trail on true

),

spans as (

    select
        fixes.imei,
        fixes.place,
        fixes.next_place,
        days.day::date as day,
        greatest(fixes.start_time, days.day_start) as start_time,
        least(fixes.next_time, fixes.stale_time, days.day_end) as end_time,
        fixes.next_time <= least(fixes.stale_time, days.day_end) as is_followed
    from fixes
    inner join lateral (
        select
            spanned.day,
            {{ start_of('spanned.day') }} as day_start,
            {{ start_of("spanned.day + interval '1 day'") }} as day_end
        from
            generate_series(
                {{ day_of('fixes.start_time') }},
                {{ day_of('least(fixes.next_time, fixes.stale_time)') }},
                interval '1 day'
            ) as spanned (day)
    ) as days on true
    where
        fixes.next_time is not null
        and greatest(fixes.start_time, days.day_start)
        < least(fixes.next_time, fixes.stale_time, days.day_end)

),

time_in_zones as (

    select
        spans.imei,
        spans.day,
        spans.start_time,
        spans.end_time,
        coalesce(zones.zone_id, 'outside') as zone_id,
        spans.is_followed and not coalesce(
            zones.area @> spans.next_place,
            not exists (
                select from zones as other
                where other.kind != 'city' and other.area @> spans.next_place
            )
        ) as is_exit
    from spans
    left join zones
        on zones.kind != 'city' and zones.area @> spans.place
    union all
    select
        spans.imei,
        spans.day,
        spans.start_time,
        spans.end_time,
        zones.zone_id,
        spans.is_followed and not zones.area @> spans.next_place as is_exit
    from spans
    inner join zones
        on zones.kind = 'city' and zones.area @> spans.place
    {% if has_rows() -%}
    union all
    -- The parts of known visits before and after the span remain.
    select
        known.imei,
        known.day,
        part.start_time,
        part.end_time,
        known.zone_id,
        known.has_left and part.end_time = known.exit_time as is_exit
    from changed as span
    inner join {{ this }} as known
        on
            {{ replaced }}
    inner join lateral (
        values
        (known.entry_time, least(known.exit_time, span.from_time)),
        (greatest(known.entry_time, span.to_time), known.exit_time)
    ) as part (start_time, end_time) on part.start_time < part.end_time
    {%- endif %}

),

with_entries as (

    select
        *,
        coalesce(
            lag(end_time) over (
                partition by imei, zone_id, day order by start_time
            ) != start_time,
            true
        ) as is_entry
    from time_in_zones

),

numbered as (

    select
        *,
        count(*) filter (where is_entry) over (
            partition by imei, zone_id, day order by start_time
        ) as visit
    from with_entries

),

visits as (

    select
        ---------- ids
        imei,
        zone_id,
        min(start_time) as entry_time,
        max(end_time) as exit_time,
        day,
        {{ start_of('day') }} as day_start,

        ---------- measures
        extract(epoch from max(end_time) - min(start_time))::integer as dwell_s,
        min(start_time) = {{ start_of('day') }} as is_continued,
        (array_agg(is_exit order by start_time desc))[1] as has_left
    from numbered
    group by imei, zone_id, day, visit

)

select * from visits
