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
                {%- do check_kpi(column, file) -%}
                {%- do found.append(
                    dict(column.config.meta, file=file, model=node.name, column=column.name)
                ) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(found | sort(attribute='kpi_id')) -}}
{%- endmacro %}


{#-
Raise a compiler error if the definition of a KPI lacks a key. A ratio (rollup: mean) names its
numerator and denominator, because the ratio of several days or places is a ratio of sums.
check_kpi(column, 'x.yml')  ->  x.yml: the KPI of column idle_share_pct lacks the key numerator
-#}
{% macro check_kpi(column, file) -%}
    {%- set meta = column.config.meta -%}
    {%- set keys = [
        'label', 'domain', 'unit', 'decimals', 'formula', 'rollup', 'direction', 'cadence',
        'tag', 'kpi_owner', 'kpi_status', 'rules',
    ] -%}
    {%- set is_ratio = meta.rollup == 'mean' or meta.numerator or meta.denominator -%}
    {%- for key in keys + (['numerator', 'denominator'] if is_ratio else []) -%}
        {%- if meta[key] is not defined or meta[key] is none or meta[key] == '' -%}
            {{ exceptions.raise_compiler_error(
                file ~ ': the KPI of column ' ~ column.name ~ ' lacks the key ' ~ key
            ) }}
        {%- endif -%}
    {%- endfor -%}
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


{#-
A value as people read it, with the decimals and the unit of its row of kpi_register; null if there
is no value. An hour of the day is a time: 8.25 is 08:15, as analyst/values.py writes it.
    case when unit = 'hour of day' then to_char(…, 'HH24:MI') else to_char(…) || ' ' || unit end
-#}
{% macro with_unit(value, register) -%}
    case
        when {{ register }}.unit = 'hour of day'
            then to_char(round({{ value }} * 60) * interval '1 minute', 'HH24:MI')
        else to_char(
            round({{ value }}, {{ register }}.decimals),
            'FM999,999,999,990' || case
                when {{ register }}.decimals > 0
                    then '.' || repeat('0', {{ register }}.decimals)
                else ''
            end
        ) || ' ' || {{ register }}.unit
    end
{%- endmacro %}
