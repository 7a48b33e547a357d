{% set columns = [
    'imei', 'gps_time', 'source', 'source_rank', 'latitude', 'longitude',
    'position_type', 'is_late', 'satellites_count', 'signal_level', 'confidence_level',
    'place', 'speed_kmh', 'heading_deg', 'is_ignition_on', 'odometer_km',
    'external_voltage_v', 'battery_pct', 'temperature_c', 'heartbeat_time', 'fetched_at',
    'record_id', 'load_id',
] %}
with

kept as (

    insert into {{ ref('newest_fixes') }} as known ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ ref('live_positions') }}
    order by imei -- as a build does, so that neither waits for the other for ever
    on conflict (imei) do update set
        {%- for column in columns if column != 'imei' %}
        {{ column }} = excluded.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    where
        (excluded.gps_time, excluded.source_rank, known.fetched_at)
        > (known.gps_time, known.source_rank, excluded.fetched_at)
    returning known.imei

)

select count(*) from kept
