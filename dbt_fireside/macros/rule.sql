{#- An operating rule that holds for all cities; null while nobody knows it. -#}
{% macro rule(name) -%}
    (
        select rule.value
        from {{ ref('operating_rules') }} as rule
        where rule.rule = '{{ name }}' and rule.city is null
    )
{%- endmacro %}


{#-
An operating rule as it holds in a city, else for all cities; null while nobody knows it.
`name` is SQL: a quoted text, or an expression such as 'speed_limit_' || vehicle_class.
-#}
{% macro rule_for(name, city) -%}
    (
        select rule.value
        from {{ ref('operating_rules') }} as rule
        where
            rule.rule = {{ name }}
            and (rule.city is null or rule.city = {{ city }})
        order by rule.city asc nulls last
        limit 1
    )
{%- endmacro %}
