{#- A state as a number, because Grafana colours maps and timelines by numbers: 1 to 5. -#}
{% macro state_code(state) -%}
    array_position(
        array['driving', 'idling', 'parked', 'no_signal', 'never_reported'], {{ state }}
    )
{%- endmacro %}
