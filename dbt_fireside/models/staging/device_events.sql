{{ config(
    unique_key=['imei', 'event_time', 'event_type', 'detail_id'],
    time_column='event_time',
    precedence=['told_by', 'fetched_at', 'record_id', 'load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

with

logged as (

    -- PUSH-01: /pushevent. Times are UTC, whatever the field timezone says.
    select
        imei,
        "gateTime" as event_time,
        type as event_type,
        null as detail,
        timezone,
        'push_event' as told_by,
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_event') }} as pushed
    where is_usable

),

uploaded as (

    select
        imei,
        "gateTime" as event_time,
        "eventType" as event_type,
        "eventContent" as detail,
        null as timezone,
        'push_iothubevent' as told_by,
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_iothubevent') }} as pushed
    where is_usable

),

transmitted as (

    select
        imei,
        "postTime" as event_time,
        'extension ' || "extensionId" as event_type,
        content as detail,
        null as timezone,
        'push_terminaltransinfo' as told_by,
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_terminaltransinfo') }} as pushed
    where is_usable

),

ended as (

    -- The end of an alarm has the shape of an alarm, but is an event and no alarm.
    select
        imei,
        coalesce("alarmTime", "gateTime") as event_time,
        "alertType" as event_type,
        "removeAlarmType" as detail,
        null as timezone,
        'push_alarm' as told_by,
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_alarm') }} as pushed
    where
        is_usable
        and "alertType" = 'removeAlarmType'

),

imported as (

    select
        imei,
        event_time,
        event_type,
        detail,
        null as timezone,
        'legacy_device_events' as told_by,
        null::jsonb as extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('legacy_device_events') }} as pushed
    where is_usable

),

events as (

    {% for way in ['logged', 'uploaded', 'transmitted', 'ended', 'imported'] -%}
    select * from {{ way }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

renamed as (

    select
        ---------- ids
        imei,
        event_time,
        event_type,
        md5(coalesce(detail, '')) as detail_id,

        ---------- what it says
        detail,
        timezone,
        told_by,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from events

),

latest as (

    -- told_by descending: a pushed event (push_…) wins over an imported one (legacy_…).
    select distinct on (imei, event_time, event_type, detail_id) *
    from renamed
    order by
        imei asc, event_time asc, event_type asc, detail_id asc, told_by desc,
        fetched_at desc, record_id desc, load_id desc

)

select * from latest
