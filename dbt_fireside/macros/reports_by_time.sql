{#-
The reports in staging whose own time fulfils a condition on `report`, for data tests about times.
    select 'trips' as table_name, report.imei, report.start_time as reported_time, … union all …
-#}
{% macro reports_by_time(condition) -%}
    {%- set times = [
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
    ] -%}
    {%- for table, event_time in times %}
    select
        '{{ table }}' as table_name,
        report.imei,
        report.{{ event_time }} as reported_time,
        report.fetched_at
    from {{ ref(table) }} as report
    where report.{{ event_time }} {{ condition }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
