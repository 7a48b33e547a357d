{#-
Raise a compiler error if the yml gives a column another type than the table has. dbt adds new
columns, but it keeps the type of a known one, so PostgreSQL would round or refuse the new values.
dbt calls this macro before it writes to a table that it has built before.
    models/…/trips.yml: distance_km is numeric(12, 3) and was numeric(9,3): run …
-#}
{% macro postgres__process_schema_changes(on_schema_change, source_relation, target_relation) %}
    {%- set changed -%}
    select
        wanted.column_name,
        wanted.column_type,
        format_type(known.atttypid, known.atttypmod)
    from (
        values
        {%- for column in model.columns.values() %}
        ('{{ column.name }}', '{{ column.data_type }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as wanted (column_name, column_type)
    inner join pg_attribute as known
        on
            known.attrelid = '{{ target_relation.include(database=false) }}'::regclass
            and known.attname = wanted.column_name
    where
        known.atttypid != to_regtype(wanted.column_type)
        or coalesce(substring(format_type(known.atttypid, known.atttypmod), '[(].*[)]'), '')
        != coalesce(replace(substring(wanted.column_type, '[(].*[)]'), ' ', ''), '')
    {%- endset %}
    {%- for row in run_query(changed).rows %}
        {{ exceptions.raise_compiler_error(
            model.patch_path.split('://')[-1] ~ ': ' ~ row[0] ~ ' is ' ~ row[1] ~ ' and was ' ~ row[2]
            ~ ': run orchestrate.py build --full-refresh --select ' ~ model.name ~ '+'
        ) }}
    {%- endfor %}
    {{ return(default__process_schema_changes(on_schema_change, source_relation, target_relation)) }}
{% endmacro %}
