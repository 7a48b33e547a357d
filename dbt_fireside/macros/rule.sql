{#-
Value of an operating rule for all cities; null if its value is empty.
    (select rule_value from (…) as rules where rule_name = '…' and rule_city is null)
-#}
{% macro rule(name) -%}
    {%- do known_rule("'" ~ name ~ "'") -%}
    (
        select rules.rule_value as value
        from {{ named_rules() }} as rules
        where rules.rule_name = '{{ name }}' and rules.rule_city is null
    )
{%- endmacro %}


{#-
Value of an operating rule in a city, else for all cities; null if its value is empty.
`name` is SQL: a quoted text, or an expression such as 'speed_limit_' || vehicle_class.
    (select rule_value from (…) as rules where rule_name = … and … order by rule_city … limit 1)
-#}
{% macro rule_for(name, city) -%}
    {%- do known_rule(name) -%}
    (
        select rules.rule_value as value
        from {{ named_rules() }} as rules
        where
            rules.rule_name = {{ name }}
            and (rules.rule_city is null or rules.rule_city = {{ city }})
        order by rules.rule_city asc nulls last
        limit 1
    )
{%- endmacro %}


{#-
Length of the shift on a day in a city, seconds; 0 on a day of the week without a shift.
    3600 * (… 'shift_length' …) * (extract(isodow from day) between (…) and (…))::integer
-#}
{% macro shift_s(day, city) -%}
    3600
    * {{ rule_for("'shift_length'", city) }}
    * (
        extract(isodow from {{ day }}) between
        {{ rule_for("'shift_first_weekday'", city) }}
        and {{ rule_for("'shift_last_weekday'", city) }}
    )::integer
{%- endmacro %}


{#-
The operating rules under names that no other table has. Otherwise `city`, as a caller writes it,
would be the city of the rule, and the rule of one city would apply to all of them.
    (select rule as rule_name, city as rule_city, value as rule_value from operating_rules)
-#}
{% macro named_rules() -%}
    (
        select
            rule as rule_name,
            city as rule_city,
            value as rule_value
        from {{ ref('operating_rules') }}
    )
{%- endmacro %}


{#-
Raise a compiler error if the seed has no such rule. Of an expression only the beginning is
known: 'speed_limit_' || vehicle_class needs a rule that begins with speed_limit_. While the
seed is not loaded, nothing is known about its rules.
known_rule("'moved_distanse'")  ->  models/…/x.sql: seeds/operating_rules.csv has no rule moved_distanse
-#}
{% macro known_rule(name, file=none) %}
    {%- if execute %}
        {%- set text = (name.split("'") + [''])[1] %}
        {%- set is_whole = name == "'" ~ text ~ "'" %}
        {#- In a unit test ref() names the given rows, and the file is the yml beside the SQL. -#}
        {%- if model.resource_type == 'unit_test' %}
            {%- set schema = generate_schema_name('tracksolid') %}
            {%- set rules = adapter.get_relation(target.database, schema, 'operating_rules') %}
        {%- else %}
            {%- set rules = load_relation(ref('operating_rules')) %}
        {%- endif %}
        {%- set is_it = 'rule = ' ~ name if is_whole else "starts_with(rule, '" ~ text ~ "')" %}
        {%- if rules and run_query('select 1 from ' ~ rules ~ ' having not bool_or(' ~ is_it ~ ')').rows %}
            {{ exceptions.raise_compiler_error(
                (file or model.original_file_path | replace('.yml', '.sql')) ~ ': seeds/operating_rules.csv has no rule '
                ~ (text if is_whole else 'that begins with ' ~ text)
            ) }}
        {%- endif %}
    {%- endif %}
{% endmacro %}
