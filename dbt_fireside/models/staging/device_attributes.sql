{{ config(
    unique_key=['imei', 'attribute'],
    precedence=['source_rank', 'fetched_at', 'record_id', 'load_id'],
) }}

with

described as (

    {% for table in ['device_list', 'device_detail', 'legacy_devices'] -%}
    select
        imei,
        {{ 0 if table == 'legacy_devices' else 1 }}::smallint as source_rank,
        to_jsonb(device) - array[
            'request',
            'fetched_at',
            'record_id',
            'load_id',
            'body',
            'is_usable',
            'problems'
        ] as answer,
        fetched_at,
        record_id,
        load_id
    from {{ records(table) }} as device
    where is_usable
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

attributes as (

    -- FIX-M17: every field of the answer becomes a row, so no field can be forgotten.
    select
        described.imei,
        field.key as attribute,
        field.value,
        described.source_rank,
        described.fetched_at,
        described.record_id,
        described.load_id
    from described
    cross join lateral jsonb_each_text(described.answer) as field
    -- An empty field changes nothing. Only a later value replaces a value.
    where field.value is not null

),

latest as (

    select distinct on (imei, attribute) *
    from attributes
    order by
        imei asc, attribute asc, source_rank desc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
