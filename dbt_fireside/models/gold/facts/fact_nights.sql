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

nights as (

    select
        imei,
        generate_series(
            {{ day_of('from_time') }}::timestamp,
            {{ day_of('to_time') }}::timestamp,
            interval '1 day'
        )::date as day
    from spans

),

fact as (

    select
        night.imei,
        night.day,
        {{ start_of('night.day') }} as day_start,
        last_fix.latitude,
        last_fix.longitude,
        {{ city_at('last_fix.longitude', 'last_fix.latitude') }} as city
    from nights as night
    inner join lateral (
        select
            fix.latitude,
            fix.longitude
        from {{ ref('position_history') }} as fix
        where
            fix.imei = night.imei
            and fix.gps_time >= {{ start_of('night.day') }}
            and fix.gps_time < {{ start_of('night.day + 1') }}
            and fix.latitude is not null
        -- FIX-N11: a cell tower counts only on a day without GPS.
        order by {{ is_gps('fix') }} desc, fix.gps_time desc
        limit 1
    ) as last_fix on true

)

select * from fact
