-- FIX-N04
-- Was:    one driver name of kilobytes failed device_drivers in every build, and with
--         it all models that read it.
-- Holds:  no text that becomes part of a key is longer than 500 bytes.

{% set texts = {
    'alarm_reports': ['alarm_type', 'alarm_name', 'fence_id'],
    'device_drivers': ['driver_name'],
    'device_events': ['timezone'],
    'devices': ['device_name', 'vehicle_number', 'vehicle_name', 'driver_name', 'device_group'],
    'fault_codes': ['fault_id'],
    'fuel_readings': ['sensor', 'unit'],
    'geofences': ['fence_id', 'fence_name'],
    'jobs': ['job_id', 'technician', 'vehicle', 'city', 'service_type', 'customer_class'],
    'lbs_readings': ['position_type'],
    'temperature_readings': ['sensor'],
} %}

{% for table, columns in texts.items() -%}
select '{{ table }}' as table_name
from {{ ref(table) }}
where greatest(octet_length({{ columns | join('), octet_length(') }})) > 500
{{ 'union all' if not loop.last }}
{% endfor %}
