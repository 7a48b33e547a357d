{{ config(materialized='view') }}

with

rejections as (

    select
        fetched_at,
        source,
        record_id,
        imei,
        reason,
        is_kept,
        left(body, 300) as body
    from {{ ref('rejected_records') }}

)

select * from rejections
