{{ config(
    unique_key=['call_id', 'attempt'],
    precedence=['load_id'],
    indexes=[
        {'columns': ['start_time']},
        {'columns': ['method', 'start_time']},
        {'columns': ['method', 'is_success', 'window_start_time']},
        {'columns': ['method', 'is_success', 'window_end_time']},
    ],
) }}

with

calls as (

    select
        ---------- ids
        call_id,
        attempt::integer as attempt,
        endpoint,
        method,
        account,
        started_at as start_time,

        ---------- request
        imeis,
        cardinality(string_to_array(imeis, ','))::integer as imeis_count,
        window_start as window_start_time,
        window_end as window_end_time,
        request,

        ---------- answer
        duration_ms::numeric(12, 3) as duration_ms,
        http_status::integer as http_status,
        code,
        message,
        coalesce(code = '0', false) as is_success,
        records::integer as records_count,
        missing,
        coalesce(
            cardinality(string_to_array(missing, ',')), 0
        )::integer as missing_count,

        ---------- lineage
        _dlt_load_id as load_id

    from {{ source('raw', 'api_calls') }}

    where {{ is_claimed('_dlt_load_id') }}

),

latest as (

    select distinct on (call_id, attempt) *
    from calls
    order by call_id asc, attempt asc, load_id desc

)

select * from latest
