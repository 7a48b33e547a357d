{#-
Repeats each row once for the fleet and once for each of `cuts` (scope -> expression). The mart
then groups by scope and scope_value, so one expression computes a KPI for every scope. A
scope whose value is null, such as an unknown driver, gets no row.
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
