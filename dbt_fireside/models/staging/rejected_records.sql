{{ config(
    unique_key=['source', 'record_id'],
    reads_from=['position_history'],
    precedence=['load_id'],
    indexes=[{'columns': ['fetched_at']}],
    pre_hook='{{ forget_refused_places() }}',
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

with_refused_places as (

    -- FIX-N11: a later fix may change what the fixes around it say.
    select
        'position_history' as source,
        {{ place_id('fix') }} as record_id,
        fix.imei,
        'no car could have driven to this place from the fixes around it' as reason,
        true as is_kept,
        jsonb_build_object(
            'gps_time', fix.gps_time,
            'latitude', fix.refused_latitude,
            'longitude', fix.refused_longitude
        )::text as body,
        null as request,
        fix.fetched_at,
        fix.load_id
    from {{ judged_fixes() }} as fix
    where fix.refused_latitude is not null

),

rejected as (

    select * from with_rejected_fields
    union all
    select * from without_json
    union all
    select * from not_landed
    union all
    select * from with_refused_places

),

latest as (

    select distinct on (source, record_id) *
    from rejected
    order by source asc, record_id asc, load_id desc

)

select * from latest
