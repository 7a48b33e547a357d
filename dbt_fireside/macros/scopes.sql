{#-
Repeat each row once for the fleet and once for each entry of `cuts` (scope -> expression). The
mart then groups by scope and scope_value, so that one expression computes a KPI for every
scope. If the value of a scope is null, such as an unknown driver, the scope gets no row.
    cross join lateral (select cut.* from (values ('fleet', 'Fleet'), ('city', city)) as cut …
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
