{#-
Schemas are named once, in dbt_project.yml, and mean the same in every environment. Only a
preview (analyst/kpi/preview.py) builds elsewhere, and all of it in one schema.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('preview_schema', none) or custom_schema_name or target.schema }}
{%- endmacro %}
