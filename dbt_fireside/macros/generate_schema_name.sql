{#-
The schema of a model is the one in dbt_project.yml, in every environment, without a prefix.
Only `orchestrate.py kpi preview` builds elsewhere: all its models in one scratch schema.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('preview_schema', none) or custom_schema_name or target.schema }}
{%- endmacro %}
