{#-
Post-hook of all tables and seeds (dbt_project.yml): use TimescaleDB, PostGIS and Citus if the
database has these extensions. Without them every table is a plain table with the same rows, and
the models are the same. Config of a model:
  time_column     time of a series: the table becomes a hypertable of TimescaleDB
  geom_of         longitude and latitude: PostGIS adds a generated column geom
  distributed_by  column of a fact: Citus spreads the rows over its nodes by it
Compiles to `do $engine$ … $engine$` blocks that do nothing without the extension.
-#}
{% macro engines() %}
    {%- if config.get('materialized') in ('incremental', 'seed') %}
    {#- geom first: TimescaleDB adds no generated column to a compressed hypertable. #}
    {{ geom() }}
    {{ hypertable() }}
    {{ distributed() }}
    {%- endif %}
{% endmacro %}


{#-
Turn the table and its rows into a hypertable by time_column. Compression is by device,
ordered by the rest of the key; the nightly job decides when to compress.
    perform create_hypertable('tracksolid.position_history', 'gps_time', …); alter table … set (…);
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


{#-
Add a column geom and an index on it, for map tools. dbt neither reads nor writes the column.
    alter table … add column geom geometry(point, 4326) generated always as (…) stored;
-#}
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
Distribute a fact over the nodes of Citus. Dimensions and seeds are copied to all nodes, so
that a distributed fact joins them on its node.
    perform create_distributed_table('dwh_gold.fact_trips', 'imei'), or create_reference_table(…)
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
                -- Citus keeps a hidden copy of the rows in the local table.
                perform truncate_local_data_after_distributing_table(
                    '{{ this.include(database=false) }}'
                );
            end if;
        end if;
    end
    $engine$;
    {%- endif %}
{% endmacro %}


{#-
Replaces dbt's own macro. It leaves out generated columns, because geom() adds them and no model
lists them.
-#}
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
