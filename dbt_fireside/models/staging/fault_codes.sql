{{ config(
    unique_key=['imei', 'fault_time', 'fault_id'],
    time_column='fault_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

renamed as (

    -- The vendor does not publish the payload. If the code is in a field with an
    -- unknown name, the record is kept, and its fault_id is a hash of the unknown
    -- fields.
    select
        ---------- ids
        imei,
        coalesce("eventTime", "gateTime") as fault_time,
        coalesce("faultCode", md5(coalesce(extra::text, ''))) as fault_id,

        ---------- content
        "faultCode" as fault_code,
        "faultDetail" as fault_detail,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_faultinfo') }} as fault

    where is_usable

),

latest as (

    select distinct on (imei, fault_time, fault_id) *
    from renamed
    order by
        imei asc, fault_time asc, fault_id asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
