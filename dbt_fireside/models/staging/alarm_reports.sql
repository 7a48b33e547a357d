{{ config(
    unique_key=['imei', 'alarm_type', 'alarm_time', 'reported_by'],
    precedence=['has_name', 'fetched_at', 'record_id', 'load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

with

polled as (

    select
        imei,
        -- FIX-E06: the poll has the fields alertTypeId, alarmTypeName and alertTime.
        -- The pushes have alarmType or alertType, alarmName and alarmTime. One table of
        -- the vendor's documents writes alertTypeName for the name.
        "alertTypeId" as alarm_type,
        "alertTime" as alarm_time,
        true as has_alarm_time,
        coalesce("alarmTypeName", "alertTypeName") as alarm_name,
        'alarm_list' as reported_by,
        3::smallint as source_rank,
        null::smallint as message_class,
        "positioningTime" as positioning_time,
        {{ coordinates('lat', 'lng') }},
        speed::numeric(6, 2) as speed_kmh,
        geoid as fence_id,
        null::jsonb as extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('alarm_list') }} as alarm

    where is_usable

),

pushed_by_open_api as (

    select
        imei,
        "alarmType" as alarm_type,
        "alarmTime" as alarm_time,
        true as has_alarm_time,
        "alarmName" as alarm_name,
        'push_openapi' as reported_by,
        2::smallint as source_rank,
        null::smallint as message_class,
        null::timestamptz as positioning_time,
        {{ coordinates('lat', 'lng') }},
        null::numeric(6, 2) as speed_kmh,
        null as fence_id,
        extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('push_openapi') }} as alarm

    where
        is_usable
        and "alarmType" is not null
        and "alarmTime" is not null

),

pushed_by_iot_hub as (

    -- The fields are nested in msg or flat. removeAlarmType ends an alarm and becomes a
    -- row of device_events. Items about the SIM or the vehicle (ICCID, VIN) have no
    -- alertType.
    select
        imei,
        "alertType" as alarm_type,
        coalesce("alarmTime", "gateTime") as alarm_time,
        "alarmTime" is not null as has_alarm_time,
        "alarmName" as alarm_name,
        'push_alarm' as reported_by,
        1::smallint as source_rank,
        "msgClass"::smallint as message_class,
        null::timestamptz as positioning_time,
        {{ coordinates('lat', 'lng') }},
        "gpsSpeed"::numeric(6, 2) as speed_kmh,
        "fenceId" as fence_id,
        extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('push_alarm') }} as alarm

    where
        is_usable
        and "alertType" != 'removeAlarmType'
        and coalesce(upper(type), 'DEVICE') = 'DEVICE'

),

imported as (

    select
        imei,
        alarm_type,
        alarm_time,
        true as has_alarm_time,
        alarm_name,
        'legacy_alarms' as reported_by,
        0::smallint as source_rank,
        null::smallint as message_class,
        null::timestamptz as positioning_time,
        {{ coordinates_or_point('geom', latitude='lat', longitude='lng') }},
        speed::numeric(6, 2) as speed_kmh,
        null as fence_id,
        null::jsonb as extra,
        fetched_at,
        record_id,
        load_id

    from {{ records('legacy_alarms') }} as alarm

    where is_usable

),

reports as (

    select * from polled
    union all
    select * from pushed_by_open_api
    union all
    select * from pushed_by_iot_hub
    union all
    select * from imported

),

renamed as (

    select
        ---------- ids
        imei,
        alarm_type,
        alarm_time,
        has_alarm_time,
        reported_by,
        source_rank,
        message_class,
        alarm_name,
        alarm_name is not null as has_name,

        ---------- place and motion
        positioning_time,
        latitude,
        longitude,
        speed_kmh,
        fence_id,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from reports

),

latest as (

    select distinct on (imei, alarm_type, alarm_time, reported_by) *
    from renamed
    order by
        imei asc, alarm_type asc, alarm_time asc, reported_by asc, has_name desc,
        fetched_at desc, record_id desc, load_id desc

)

select * from latest
