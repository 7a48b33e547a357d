{#-
Every KPI as its column defines it (config.meta with a kpi_id): the meta, and `model` and
`column`. From the dbt graph, so nothing is said twice; empty while dbt parses.
-#}
{% macro kpis() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.name.startswith('kpi_') -%}
            {%- for column in node.columns.values() if column.config.meta.kpi_id -%}
                {%- do found.append(
                    dict(column.config.meta, model=node.name, column=column.name)
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(found | sort(attribute='kpi_id')) -}}
{%- endmacro %}


{#- A value of yaml as SQL. -#}
{% macro literal(value) -%}
    {%- if value is none or value == '' -%} null
    {%- elif value is number -%} {{ value }}
    {%- elif value is string -%} '{{ value | replace("'", "''") | trim }}'
    {%- else -%} '{{ value | join(", ") }}'
    {%- endif -%}
{%- endmacro %}


{#- Where a value stands in the bands of its row of kpi_register; null without either. -#}
{% macro band(value, register) -%}
    case
        when
            {{ value }} is null
            or coalesce({{ register }}.warn_at, {{ register }}.critical_at) is null
            then null
        when
            {{ register }}.direction = 'higher'
            and {{ value }} <= {{ register }}.critical_at
            or {{ register }}.direction = 'lower'
            and {{ value }} >= {{ register }}.critical_at
            then 'critical'
        when
            {{ register }}.direction = 'higher' and {{ value }} <= {{ register }}.warn_at
            or {{ register }}.direction = 'lower' and {{ value }} >= {{ register }}.warn_at
            then 'warn'
        else 'ok'
    end
{%- endmacro %}
