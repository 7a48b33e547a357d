{#- A state as a number from 1 to 5, because Grafana colours maps and timelines by numbers. -#}
{% macro state_code(state) -%}
    array_position(
        array['driving', 'idling', 'parked', 'no_signal', 'never_reported'], {{ state }}
    )
{%- endmacro %}
