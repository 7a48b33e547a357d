{{ config(materialized='view') }}

{% set columns = [
    'gps_time', 'source', 'source_rank', 'latitude', 'longitude', 'position_type',
    'is_late', 'satellites_count', 'signal_level', 'confidence_level', 'place',
    'speed_kmh', 'heading_deg', 'is_ignition_on', 'odometer_km', 'external_voltage_v',
    'battery_pct', 'temperature_c', 'heartbeat_time', 'fetched_at', 'record_id',
    'load_id',
] %}

{#- The newest load in newest_fixes, from a build or from keep_newest_fixes after it. #}
{% set built %}greatest(
            (
                select coalesce(max(offered.load_id), '')
                from {{ offered_loads() }} as offered
                where offered.build_id <= {{ claimed('build_id', 'newest_fixes') }}
            ),
            (select max(known.load_id) from {{ ref('newest_fixes') }} as known)
        )
{%- endset %}

-- Each device is one index lookup, so the length of raw does not matter, and a query
-- for a few devices reads only those. (With a CTE or a distinct the planner would read
-- all devices.)
select
    devices.imei{% for column in columns %},
    newest.{{ column }}{% endfor %}

from {{ ref('devices') }} as devices
inner join lateral ( -- noqa: ST05
    select *
    from (
        select
            built.imei{% for column in columns %},
            built.{{ column }}{% endfor %}

        from {{ ref('newest_fixes') }} as built
        where built.imei = devices.imei
        {% for table in ['location_list', 'location_get'] %}
        {% set landed %}(
            select answer.*
            from (
                select *
                from {{ source('raw', table) }} as landed
                where
                    landed.imei = devices.imei
                    and {{ is_recent('landed.fetched_at') }}
                    and exists (
                        select from {{ source('raw', 'complete_loads') }} as complete
                        where complete.load_id = landed._dlt_load_id
                        offset 0 -- checked row by row, newest first
                    )
                order by landed.fetched_at desc
                limit 1
            ) as answer
            where
                -- Only answers that are newer than newest_fixes are parsed. (A load
                -- that is completed late has an old id. It has no newer fix, and the
                -- next build reads it.)
                answer._dlt_load_id > {{ built }}
                -- If no answer in the raw table is newer, no device is looked up.
                and (
                    select max(recent._dlt_load_id)
                    from {{ source('raw', table) }} as recent
                    where {{ is_recent('recent.fetched_at') }}
                ) > {{ built }}
        )
        {%- endset %}
        union all
        {{ located_fixes(table, landed) }}
        {% endfor %}
    ) as known
    -- A place to which no car could have driven waits until the build has judged it.
    where
        not exists (
            select from {{ ref('newest_fixes') }} as built
            where
                built.imei = devices.imei
                and {{ is_gps('built') }}
                and {{ is_gps('known') }}
                and {{ is_undrivable(
                    'built.latitude', 'built.longitude', 'built.gps_time',
                    'known.latitude', 'known.longitude', 'known.gps_time',
                ) }}
        )
    -- Of several copies of one fix the first is kept, as in position_history, because
    -- each sweep returns the fix of a parked vehicle again. A cell tower counts only if
    -- the GPS fix is much older.
    order by
        known.gps_time - case -- noqa: RF03
            when {{ is_gps('known') }} then interval '0'
            else {{ belief('gps_silence', 168) }} * interval '1 hour'
        end desc,
        known.source_rank desc,
        known.fetched_at asc
    limit 1
) as newest on true
