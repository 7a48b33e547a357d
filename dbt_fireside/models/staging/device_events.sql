{{ config(
    unique_key=['imei', 'event_time', 'event_type', 'detail_id'],
    time_column='event_time',
    precedence=['reported_by', 'fetched_at', 'record_id', 'load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

with

logged as (

    -- PUSH-01: events of /pushevent. Times are UTC, whatever the field timezone says.
    select
        imei,
        "gateTime" as event_time,
        type as event_type,
        null as detail,
        timezone,
        'push_event' as reported_by,
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
        'push_iothubevent' as reported_by,
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
        'push_terminaltransinfo' as reported_by,
        extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('push_terminaltransinfo') }} as pushed
    where is_usable

),

ended as (

    -- The end of an alarm has the fields of an alarm, but it is an event.
    select
        imei,
        coalesce("alarmTime", "gateTime") as event_time,
        "alertType" as event_type,
        "removeAlarmType" as detail,
        null as timezone,
        'push_alarm' as reported_by,
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
        'legacy_device_events' as reported_by,
        null::jsonb as extra,
        fetched_at,
        record_id,
        load_id
    from {{ records('legacy_device_events') }} as pushed
    where is_usable

),

events as (

    {% for kind in ['logged', 'uploaded', 'transmitted', 'ended', 'imported'] -%}
    select * from {{ kind }}
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

        ---------- content
        detail,
        timezone,
        reported_by,

        ---------- lineage
        extra,
        fetched_at,
        record_id,
        load_id
    from events

),

latest as (

    -- reported_by is sorted in descending order, so that a pushed event (push_…) wins
    -- over an imported one (legacy_…).
    select distinct on (imei, event_time, event_type, detail_id) *
    from renamed
    order by
        imei asc, event_time asc, event_type asc, detail_id asc, reported_by desc,
        fetched_at desc, record_id desc, load_id desc

)

select * from latest
