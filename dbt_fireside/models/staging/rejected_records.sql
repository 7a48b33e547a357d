{{ config(
    unique_key=['source', 'record_id'],
    precedence=['load_id'],
    indexes=[{'columns': ['fetched_at']}],
) }}

{% set tables = vendor_fields() %}

with

with_rejected_fields as (

    {% for table, fields in tables.items() if fields -%}
    select
        '{{ table }}' as source,
        record_id,
        imei,
        array_to_string(problems, ', ') as reason,
        is_usable as is_kept,
        body,
        request,
        fetched_at,
        load_id
    from {{ records(table, fields=fields) }} as record
    where problems != '{}'
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

without_json as (

    {% for table, fields in tables.items() if not fields -%}
    select
        '{{ table }}' as source,
        record_id,
        imei,
        'body' as reason,
        false as is_kept,
        body,
        request,
        fetched_at,
        _dlt_load_id as load_id
    from {{ source('raw', table) }}
    where
        {{ is_claimed('_dlt_load_id') }}
        and {{ is_landed_since('fetched_at') }}
        and {{ json_object('body') }} is null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

not_landed as (

    -- The loader could not split these pieces or store them as text. It kept their
    -- bytes.
    select
        source,
        record_id,
        imei,
        reason,
        false as is_kept,
        body_base64 as body,
        request,
        fetched_at,
        _dlt_load_id as load_id
    from {{ source('raw', 'rejected') }}
    where {{ is_claimed('_dlt_load_id') }}

),

rejected as (

    select * from with_rejected_fields
    union all
    select * from without_json
    union all
    select * from not_landed

),

latest as (

    select distinct on (source, record_id) *
    from rejected
    order by source asc, record_id asc, load_id desc

)

select * from latest
