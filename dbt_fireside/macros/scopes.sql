{#-
What a mart is cut by: each row counts for the fleet and for each of `cuts` (scope ->
expression), then a plain group by makes a row per scope and value. So a KPI is one
expression for every scope. A value that is null (a driver nobody knows) counts for none.
-#}
{% macro scopes(cuts) -%}
    cross join lateral (
        select cut.*
        from (
            values
            ('fleet', 'Fleet')
            {%- for scope, expression in cuts.items() %},
            ('{{ scope }}', {{ expression }})
            {%- endfor %}
        ) as cut (scope, scope_value)
        where cut.scope_value is not null
    ) as cut
{%- endmacro %}
