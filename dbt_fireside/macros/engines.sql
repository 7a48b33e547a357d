{#-
What larger engines add, where their extension is installed in the database. Without it
every table is a plain one with the same rows, and no model differs. Post-hook of all
tables, seeds included (dbt_project.yml); what it goes by in the config of a model:
  time_column     of a time series, which becomes a hypertable of TimescaleDB
  geom_of         its longitude and latitude, from which PostGIS gets a column geom
  distributed_by  of a fact, whose rows Citus spreads over its nodes by this column
-#}
{% macro engines() %}
    {%- if config.get('materialized') in ('incremental', 'seed') %}
    {#- In this order: a compressed hypertable takes no generated column. #}
    {{ geom() }}
    {{ hypertable() }}
    {{ distributed() }}
    {%- endif %}
{% endmacro %}


{#-
A hypertable by time_column, with the rows that are there already. How it is compressed is
said here: by device, ordered by the rest of the key. When, operations/maintenance/timescale.py decides.
-#}
{% macro hypertable() %}
    {%- set time_column = config.get('time_column') %}
    {%- if time_column %}
    {%- set order = [time_column] + config.require('unique_key') %}
    do $engine$
    begin
        if exists (select from pg_extension where extname = 'timescaledb') then
            if not exists (
                select from timescaledb_information.hypertables
                where
                    hypertable_schema = '{{ this.schema }}'
                    and hypertable_name = '{{ this.name }}'
            ) then
                perform create_hypertable(
                    '{{ this.include(database=false) }}', '{{ time_column }}',
                    chunk_time_interval => interval '{{ var("chunk_days") }} days',
                    create_default_indexes => false,
                    migrate_data => true
                );
                alter table {{ this }} set (
                    timescaledb.compress,
                    timescaledb.compress_segmentby = 'imei',
                    timescaledb.compress_orderby
                    = '{{ order | unique | reject("equalto", "imei") | join(", ") }}'
                );
            end if;
        end if;
    end
    $engine$;
    {%- endif %}
{% endmacro %}


{#- A column geom for map tools, and an index on it. dbt neither reads nor writes it. -#}
{% macro geom() %}
    {%- if config.get('geom_of') %}
    {%- set coordinates = config.get('geom_of') | join('::double precision, ') %}
    do $engine$
    begin
        if
            exists (select from pg_extension where extname = 'postgis')
            and not exists (
                select from pg_attribute
                where attrelid = '{{ this.include(database=false) }}'::regclass and attname = 'geom'
            )
        then
            alter table {{ this }} add column geom geometry(point, 4326)
            generated always as (
                st_setsrid(st_makepoint({{ coordinates }}::double precision), 4326)
            ) stored;
            create index on {{ this }} using gist (geom);
        end if;
    end
    $engine$;
    {%- endif %}
{% endmacro %}


{#-
The dimensions of gold and the seeds are copied to all nodes; what is distributed joins them
there.
-#}
{% macro distributed() %}
    {%- set column = config.get('distributed_by') %}
    {%- if column or this.name.startswith('dim_') or model.resource_type == 'seed' %}
    do $engine$
    begin
        if exists (select from pg_extension where extname = 'citus') then
            if not exists (
                select from pg_dist_partition
                where logicalrelid = '{{ this.include(database=false) }}'::regclass
            ) then
                {%- if column %}
                perform create_distributed_table(
                    '{{ this.include(database=false) }}', '{{ column }}'
                );
                {%- else %}
                perform create_reference_table('{{ this.include(database=false) }}');
                {%- endif %}
                -- Citus leaves the rows where they were, too, unseen.
                perform truncate_local_data_after_distributing_table(
                    '{{ this.include(database=false) }}'
                );
            end if;
        end if;
    end
    $engine$;
    {%- endif %}
{% endmacro %}


{#- As dbt's own, without generated columns: those belong to an engine, not to a model. -#}
{% macro postgres__get_columns_in_relation(relation) %}
    {%- call statement('get_columns_in_relation', fetch_result=True) %}
        select
            column_name,
            data_type,
            character_maximum_length,
            numeric_precision,
            numeric_scale
        from {{ relation.information_schema('columns') }}
        where
            table_name = '{{ relation.identifier }}'
            {%- if relation.schema %}
            and table_schema = '{{ relation.schema }}'
            {%- endif %}
            and is_generated = 'NEVER'
        order by ordinal_position
    {%- endcall %}
    {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{% endmacro %}
