{#- A state as a number: Grafana colours maps and timelines of many vehicles by numbers. -#}
{% macro state_code(state) -%}
    array_position(
        array['driving', 'idling', 'parked', 'no_signal', 'never_reported'], {{ state }}
    )
{%- endmacro %}
