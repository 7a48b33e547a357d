{% set replaced -%}
    known.imei = span.imei
    and known.day
    between {{ day_of('span.from_time') }} and {{ day_of('span.to_time') }}
{%- endset %}

{{ config(
    incremental_strategy='replace_span',
    replaced=replaced,
    unique_key=['imei', 'day'],
    reads_from=['position_history'],
    recomputed_with=['dim_zones'],
    distributed_by='imei',
) }}

with

spans as (

    {{ changed_spans() }}

),

fact as (

    select
        spans.imei,
        night.day::date as day,
        {{ start_of('night.day') }} as day_start,
        last_fix.latitude,
        last_fix.longitude,
        {{ city_at('last_fix.longitude', 'last_fix.latitude') }} as city
    from spans
    cross join lateral generate_series(
        {{ day_of('spans.from_time') }}::timestamp,
        {{ day_of('spans.to_time') }}::timestamp,
        interval '1 day'
    ) as night (day)
    cross join lateral (
        select
            fix.latitude,
            fix.longitude
        from {{ ref('position_history') }} as fix
        where
            fix.imei = spans.imei
            and fix.gps_time >= {{ start_of('night.day') }}
            and fix.gps_time < {{ start_of("night.day + interval '1 day'") }}
            and fix.latitude is not null
        order by fix.gps_time desc
        limit 1
    ) as last_fix

)

select * from fact
