{#-
on-run-start: refuse a full refresh while rows of raw are in archived files, because a full
refresh rebuilds tables from raw alone. dbt sets flags.FULL_REFRESH for the option, for the
environment variable and for a retry.
refuse_full_refresh()  ->  an error, or nothing
-#}
{% macro refuse_full_refresh() %}
    {%- if execute and flags.FULL_REFRESH %}
        {%- set archived = run_query('select sum(row_count) from raw.archived_files') %}
        {%- if archived[0][0] is not none %}
            {{ exceptions.raise_compiler_error(
                'a full refresh would lose ' ~ archived[0][0] ~ ' rows of raw that are in archived files:'
                ~ ' run orchestrate.py restore-archive first'
            ) }}
        {%- endif %}
    {%- endif %}
{% endmacro %}
