-- FIX-N02
-- Was:    a time after its arrival was believed, so the fix was the newest for hours.
-- Holds:  no report is later than its arrival by more than an hour, or by more than the
--         rule clock_ahead if that is longer.

{% set times = [
    ('position_history', 'gps_time'),
    ('newest_fixes', 'gps_time'),
    ('trips', 'start_time'),
    ('trips', 'end_time'),
    ('parking_events', 'start_time'),
    ('alarm_reports', 'alarm_time'),
    ('obd_readings', 'reading_time'),
    ('fuel_readings', 'reading_time'),
    ('temperature_readings', 'reading_time'),
    ('lbs_readings', 'reading_time'),
    ('heartbeats', 'heartbeat_time'),
    ('fault_codes', 'fault_time'),
    ('device_events', 'event_time'),
] %}

{% for table, event_time in times -%}
select
    '{{ table }}' as table_name,
    report.imei,
    report.{{ event_time }} as reported_time,
    report.fetched_at
from {{ ref(table) }} as report
where
    report.{{ event_time }}
    > report.fetched_at + greatest({{ rule('clock_ahead') }}, 60) * interval '1 minute'
{{ 'union all' if not loop.last }}
{% endfor %}
