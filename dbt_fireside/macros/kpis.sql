{#-
List of all KPIs: the config.meta of each column with a kpi_id, plus `file`, `model`, `column`. The
list comes from the dbt graph, so no definition is repeated. It is empty while dbt parses.
-#}
{% macro kpis() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.name.startswith('kpi_') -%}
            {%- for column in node.columns.values() if column.config.meta.kpi_id -%}
                {%- set file = node.original_file_path.replace('.sql', '.yml') -%}
                {%- do found.append(
                    dict(column.config.meta, file=file, model=node.name, column=column.name)
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(found | sort(attribute='kpi_id')) -}}
{%- endmacro %}


{#- A value from yaml as a SQL literal: literal("it's")  ->  'it''s'; literal(none)  ->  null -#}
{% macro literal(value) -%}
    {%- if value is none or value == '' -%} null
    {%- elif value is number -%} {{ value }}
    {%- elif value is string -%} '{{ value | replace("'", "''") | trim }}'
    {%- else -%} '{{ value | join(", ") }}'
    {%- endif -%}
{%- endmacro %}


{#-
Band of a value according to its row of kpi_register: ok, warn or critical. Null if there is no
value or no band.
    case when … is null then null when … then 'critical' when … then 'warn' else 'ok' end
-#}
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
