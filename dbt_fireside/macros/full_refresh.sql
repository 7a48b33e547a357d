{#-
On-run-start. A full refresh rebuilds tables from raw, and raw lacks what is in archived files. dbt
itself says whether this is one: as an option, a variable of the environment or a retry.
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
