{{ config(
    unique_key=['imei', 'gps_time'],
    time_column='gps_time',
    geom_of=['longitude', 'latitude'],
    precedence=['source_rank', '-fetched_at', '-record_id', '-load_id'],
    indexes=[{'columns': ['load_id']}],
) }}

{% set columns = [
    'imei', 'gps_time', 'source', 'source_rank', 'position_type', 'is_late',
    'satellites_count', 'signal_level', 'confidence_level', 'place', 'speed_kmh',
    'heading_deg', 'is_ignition_on', 'odometer_km', 'external_voltage_v', 'battery_pct',
    'temperature_c', 'heartbeat_time', 'fetched_at', 'record_id', 'load_id',
] %}

with

sweeps as (

    -- FIX-N02: a time after its arrival comes from a clock that runs ahead.
    -- FIX-N03: a time a GPS epoch before its arrival comes from a receiver that counts
    -- the weeks from 0 again. records() believes neither, for all sources and tables.
    {{ located_fixes('location_list') }}

),

on_demand as (

    -- FIX-M15: a position fetched on demand enters the history like any other.
    {{ located_fixes('location_get') }}

),

trail as (

    -- FIX-M14: the trail has the fixes between two sweeps, 10 to 30 s apart. Its
    -- 35-minute windows overlap and repeat the fixes of the sweeps, so one row per
    -- device and instant is kept.
    select
        ---------- ids
        imei,
        "gpsTime" as gps_time,
        'track_list' as source,
        1::smallint as source_rank,

        ---------- place
        lat::numeric(9, 6) as latitude,
        lng::numeric(9, 6) as longitude,
        {{ position_type('"posType"') }} as position_type,
        null::boolean as is_late,
        satellite::smallint as satellites_count,
        null::smallint as signal_level,
        confidence::smallint as confidence_level,
        null as place,

        ---------- motion
        -- FIX-N15: a tracker that does not know its speed sends 255; records() makes it
        -- null.
        "gpsSpeed"::numeric(6, 2) as speed_kmh,
        direction::numeric(5, 2) as heading_deg,
        coalesce("accStatus", ignition) as is_ignition_on,
        null::numeric(12, 3) as odometer_km,

        ---------- condition
        null::numeric(7, 3) as external_voltage_v,
        null::numeric(5, 2) as battery_pct,
        null::numeric(6, 2) as temperature_c,
        null::timestamptz as heartbeat_time,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('track_list') }} as located

    where
        is_usable
        and not (lat = 0 and lng = 0)

),

pushed as (

    select
        ---------- ids
        imei,
        "gpsTime" as gps_time,
        'push' as source,
        2::smallint as source_rank,

        ---------- place
        lat::numeric(9, 6) as latitude,
        lng::numeric(9, 6) as longitude,
        {{ position_type('"postType"') }} as position_type,
        "gpsMode" as is_late,
        "satelliteNum"::smallint as satellites_count,
        null::smallint as signal_level,
        null::smallint as confidence_level,
        null as place,

        ---------- motion
        "gpsSpeed"::numeric(6, 2) as speed_kmh,
        direction::numeric(5, 2) as heading_deg,
        acc as is_ignition_on,
        -- The push sends metres while the poll sends km, and it sends 0 if there is no
        -- odometer.
        (nullif(distance, 0) / 1000)::numeric(12, 3) as odometer_km,

        ---------- condition
        null::numeric(7, 3) as external_voltage_v,
        null::numeric(5, 2) as battery_pct,
        temperature::numeric(6, 2) as temperature_c,
        null::timestamptz as heartbeat_time,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('push_gps') }} as located

    where
        is_usable
        and not (lat = 0 and lng = 0)

),

tagged as (

    select
        ---------- ids
        imei,
        "gpsTime" as gps_time,
        'push' as source,
        2::smallint as source_rank,

        ---------- place
        lat::numeric(9, 6) as latitude,
        lng::numeric(9, 6) as longitude,
        {{ position_type('"positionType"') }} as position_type,
        null::boolean as is_late,
        null::smallint as satellites_count,
        null::smallint as signal_level,
        -- For a tag, gpsNum is the confidence.
        "gpsNum"::smallint as confidence_level,
        null as place,

        ---------- motion
        null::numeric(6, 2) as speed_kmh,
        null::numeric(5, 2) as heading_deg,
        null::boolean as is_ignition_on,
        null::numeric(12, 3) as odometer_km,

        ---------- condition
        null::numeric(7, 3) as external_voltage_v,
        null::numeric(5, 2) as battery_pct,
        null::numeric(6, 2) as temperature_c,
        null::timestamptz as heartbeat_time,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('push_tag') }} as located

    where
        is_usable
        and not (lat = 0 and lng = 0)

),

imported as (

    -- Fixes that the old system kept from its sweeps and trails.
    select
        ---------- ids
        imei,
        gps_time,
        'legacy' as source,
        0::smallint as source_rank,

        ---------- place
        {{ coordinates_or_point('geom', latitude='lat', longitude='lng') }},
        null as position_type,
        null::boolean as is_late,
        gps_num::smallint as satellites_count,
        null::smallint as signal_level,
        null::smallint as confidence_level,
        null as place,

        ---------- motion
        speed::numeric(6, 2) as speed_kmh,
        direction::numeric(5, 2) as heading_deg,
        acc_status as is_ignition_on,
        null::numeric(12, 3) as odometer_km,

        ---------- condition
        null::numeric(7, 3) as external_voltage_v,
        null::numeric(5, 2) as battery_pct,
        null::numeric(6, 2) as temperature_c,
        null::timestamptz as heartbeat_time,

        ---------- lineage
        fetched_at,
        record_id,
        load_id

    from {{ records('legacy_position_history') }} as located

    where is_usable

),

fixes as (

    select * from sweeps
    union all
    select * from on_demand
    union all
    select * from trail
    union all
    select * from pushed
    union all
    select * from tagged
    union all
    select * from imported
    where latitude is not null

),

best as (

    -- The copy from the source with the most fields is kept. Of several copies from
    -- this source the first is kept, because its other readings belong to the time of
    -- the fix: a parked device returns the same fix every minute for weeks.
    select distinct on (imei, gps_time) *
    from fixes
    order by
        imei asc, gps_time asc, source_rank desc, fetched_at asc, record_id asc,
        load_id asc

),

{% if has_rows() %}

judged as (

    select
        new.imei,
        {{ last_neighbour(this, 'new.imei', 'new.first_time', '<') }} as first_time,
        {{ last_neighbour(this, 'new.imei', 'new.last_time', '>') }} as last_time
    from (
        select
            imei,
            min(gps_time) as first_time,
            max(gps_time) as last_time
        from best
        group by imei
    ) as new

),

known as (

    select
        history.*,
        history.gps_time between judged.first_time and judged.last_time as is_judged
    from judged
    inner join lateral (
        select *
        from {{ this }} as fix
        where
            fix.imei = judged.imei
            and fix.gps_time
            >= {{ last_neighbour(this, 'judged.imei', 'judged.first_time', '<') }}
            and fix.gps_time
            <= {{ last_neighbour(this, 'judged.imei', 'judged.last_time', '>') }}
    ) as history on true

),

{% endif %}

sent as (

    select distinct on (imei, gps_time) *
    from (
        select
            {{ columns | join(', ') }},
            latitude,
            longitude,
            true as is_judged,
            null::boolean as was_refused
        from best
        {% if has_rows() -%}
        union all
        select
            {{ columns | join(', ') }},
            coalesce(latitude, refused_latitude) as latitude,
            coalesce(longitude, refused_longitude) as longitude,
            is_judged,
            latitude is null as was_refused
        from known
        {%- endif %}
    ) as copies
    order by
        imei asc, gps_time asc, source_rank desc, fetched_at asc, record_id asc,
        load_id asc, was_refused asc nulls last

),

refused as (

    {{ refused_places('sent') }}

),

believed as (

    -- FIX-N11: a place to which no car could have driven is not believed.
    select
        {% for column in columns -%}
        sent.{{ column }},
        {% endfor -%}
        case when refused.imei is null then sent.latitude end::numeric(9, 6)
            as latitude,
        case when refused.imei is null then sent.longitude end::numeric(9, 6)
            as longitude,
        case when refused.imei is not null then sent.latitude end::numeric(9, 6)
            as refused_latitude,
        case when refused.imei is not null then sent.longitude end::numeric(9, 6)
            as refused_longitude
    from sent
    left join refused
        on sent.imei = refused.imei and sent.gps_time = refused.gps_time
    -- Of the known fixes only those are written whose place is judged otherwise now.
    where
        sent.is_judged
        and sent.was_refused is distinct from (refused.imei is not null)

)

select * from believed
