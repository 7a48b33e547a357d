{#-
Value of an operating rule for all cities; null if its value is empty.
    (select rule.value from operating_rules as rule where rule.rule = '…' and rule.city is null)
-#}
{% macro rule(name) -%}
    (
        select rule.value
        from {{ ref('operating_rules') }} as rule
        where rule.rule = '{{ name }}' and rule.city is null
    )
{%- endmacro %}


{#-
Value of an operating rule in a city, else for all cities; null if its value is empty.
`name` is SQL: a quoted text, or an expression such as 'speed_limit_' || vehicle_class.
    (select rule.value from … where rule.rule = … and … order by rule.city … limit 1)
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
