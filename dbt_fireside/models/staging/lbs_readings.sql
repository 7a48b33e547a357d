{{ config(
    unique_key=['imei', 'reading_time', 'position_type'],
    time_column='reading_time',
    indexes=[{'columns': ['load_id']}],
) }}

with

typed as (

    select
        *,
        coalesce(
            upper("postType"),
            case when "wifiList" is not null then 'WIFI' end,
            'LBS'
        ) as position_type
    from {{ records('push_lbs') }} as reading

    where is_usable

),

renamed as (

    -- PUSH-04: /pushlbs sends the cell towers or access points in reach of a device
    -- without a GPS fix. lbsJson is JSON as text.
    select
        ---------- ids
        imei,
        "gateTime" as reading_time,
        position_type,

        ---------- cells and access points
        mcc::integer as mobile_country_code,
        mnc::integer as mobile_network_code,
        "cellList" as cells,
        cardinality(string_to_array("cellList", ';'))::integer as cells_count,
        "wifiList" as access_points,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from typed

),

latest as (

    select distinct on (imei, reading_time, position_type) *
    from renamed
    order by
        imei asc, reading_time asc, position_type asc, fetched_at desc, record_id desc,
        load_id desc

)

select * from latest
