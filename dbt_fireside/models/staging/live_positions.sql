{{ config(materialized='view') }}

{% set columns = [
    'gps_time', 'source', 'source_rank', 'latitude', 'longitude', 'position_type',
    'is_late', 'satellites_count', 'signal_level', 'confidence_level', 'place',
    'speed_kmh', 'heading_deg', 'is_ignition_on', 'odometer_km', 'external_voltage_v',
    'battery_pct', 'temperature_c', 'heartbeat_time', 'fetched_at', 'record_id',
    'load_id',
] %}

{#- The newest load that newest_fixes has taken, in a build or since. #}
{% set built %}greatest(
            (
                select coalesce(max(offered.load_id), '')
                from {{ offered_loads() }} as offered
                where offered.build_id <= {{ claimed('build_id', 'newest_fixes') }}
            ),
            (select max(taken.load_id) from {{ ref('newest_fixes') }} as taken)
        )
{%- endset %}

-- Device by device, a look into an index each: raw may be of any length, and who asks
-- for some devices waits for these alone. (No CTE, no distinct: both would hide that.)
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
                        select from {{ source('raw', '_dlt_loads') }} as complete
                        where
                            complete.load_id = landed._dlt_load_id
                            and complete.status = 0
                        offset 0 -- asked of one answer after the other, newest first
                    )
                order by landed.fetched_at desc
                limit 1
            ) as answer
            where
                -- Nothing is parsed that is built already. (A load that is settled
                -- late, with an old id, brings no news; the build takes it.)
                answer._dlt_load_id > {{ built }}
                -- Where nothing at all is new, no device is looked up.
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
    -- Of copies of one fix the first, as in position_history: of a vehicle that is
    -- parked each sweep brings one.
    order by gps_time desc, source_rank desc, fetched_at asc
    limit 1
) as newest on true
