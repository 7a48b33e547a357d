{#-
The schema of a model: the one in dbt_project.yml, without a prefix, in every environment. Only
`orchestrate.py kpi preview` builds all its models in a temporary schema instead.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ var('preview_schema', none) or custom_schema_name or target.schema }}
{%- endmacro %}
