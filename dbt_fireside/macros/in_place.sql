{#-
Incremental strategy: insert, and on a key that is there already let the better copy win.
config `precedence`: columns that say which copy is better, the most telling first; the
larger value wins, or the smaller one where the name starts with "-". An equal copy
replaces (it is the same), so a load that is taken twice changes nothing. Without
precedence the new row always wins. Cost follows the new rows: one index probe each.
-#}
{% macro get_incremental_newest_wins_sql(arg_dict) %}
    {%- set keys = config.require('unique_key') %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list %}
    insert into {{ arg_dict['target_relation'] }} as kept ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ arg_dict['temp_relation'] }}
    on conflict ({{ keys | join(', ') }}) do update set
        {%- for column in columns if column not in keys %}
        {{ column }} = excluded.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {%- if config.get('precedence') %}
    where
        {{ precedence_row('excluded', 'kept') }}
        >= {{ precedence_row('kept', 'excluded') }}
    {%- endif %}
    {%- if config.get('time_column') %};
    {{ note_first_times(arg_dict['temp_relation']) }}
    {%- endif %}
    {%- if 'day' in columns %};
    {{ log_change('(select min(day) from ' ~ arg_dict['temp_relation'] ~ ')') }}
    {%- endif %}
{% endmacro %}


{#-
Incremental strategy of the marts: all days since the first change are computed anew and
replaced in one transaction. config takes_changes_of: the facts whose changes count.
-#}
{% macro get_incremental_days_anew_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    delete from {{ arg_dict['target_relation'] }} where {{ has_changed('day') }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
    {{ log_change(first_changed_day()) }}
{% endmacro %}


{% macro precedence_row(one, other) -%}
    (
    {%- for column in config.get('precedence') -%}
        {{ other if column.startswith('-') else one }}.{{ column.lstrip('-') }}
        {{- ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}


{#-
Incremental strategy of the facts made from steps of the trail: what lies on a stretch with
new fixes is computed anew and replaced in one transaction. Cost follows the new fixes, not
the day so far. config `replaced`: which rows of this fact (known) lie on a stretch.
-#}
{% macro get_incremental_stretches_anew_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    delete from {{ arg_dict['target_relation'] }} as known
    using ({{ new_stretches() }}) as stretch
    where {{ config.require('replaced') }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
    {{ log_change('(select min(first_day) from (' ~ new_stretches() ~ ') as stretch)') }}
{% endmacro %}


{#-
Of each device with new fixes the stretch of its trail that they concern: from the fix before
them to the fix after them. Beyond these nothing changes, however late the new ones come.
config `carries_drivers`: who drives is told, too, and holds from then on.
-#}
{% macro new_stretches() -%}
    {%- set fixes = ref('position_history') -%}
    select
        bounded.*,
        {{ day_of('bounded.from_time') }} as first_day
    from (
        select
            news.imei,
            coalesce(
                (
                    select max(fix.gps_time) from {{ fixes }} as fix
                    where fix.imei = news.imei and fix.gps_time < news.first_time
                ),
                news.first_time
            ) as from_time,
            coalesce(
                case
                    -- In order, TimescaleDB would begin with its oldest chunks.
                    when news.last_time > now() - interval '1 day' then (
                        select min(fix.gps_time)
                        from {{ fixes_between(
                            'news.imei',
                            "news.last_time + interval '1 microsecond'",
                            "'infinity'",
                        ) }} as fix
                    )
                    else (
                        select min(fix.gps_time) from {{ fixes }} as fix
                        where fix.imei = news.imei and fix.gps_time > news.last_time
                    )
                end,
                news.last_time
            ) as to_time
        from (
            select
                imei,
                min(first_time) as first_time,
                max(last_time) as last_time
            from (
                {{ claimed_spans('position_history', 'gps_time') }}
                {%- if config.get('carries_drivers') and has_rows() %}
                union all
                select
                    told.imei,
                    -- The first driver known is taken for all that was before.
                    case
                        when exists (
                            select from {{ ref('device_drivers') }} as earlier
                            where
                                earlier.imei = told.imei
                                and earlier.fetched_at < told.first_time
                        )
                            then told.first_time
                        else (
                            select min(fix.gps_time) from {{ fixes }} as fix
                            where fix.imei = told.imei
                        )
                    end as first_time,
                    'infinity' as last_time
                from ({{ claimed_spans('device_drivers', 'fetched_at') }}) as told
                {%- endif %}
            ) as span
            where first_time is not null
            group by imei
        ) as news
    ) as bounded
{%- endmacro %}


{#- Does this run add to rows that are there? A unit test never does. -#}
{% macro has_rows() -%}
    {{ return(model.resource_type != 'unit_test' and is_incremental()) }}
{%- endmacro %}


{#-
Incremental strategy of what follows from one thing to the next (imei, start_time): of each
device all rows since its first new one are replaced in one transaction.
-#}
{% macro get_incremental_tails_anew_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    delete from {{ arg_dict['target_relation'] }} as known
    using (
        select imei, min(start_time) as first_time
        from {{ arg_dict['temp_relation'] }}
        group by imei
    ) as new
    where known.imei = new.imei and known.start_time >= new.first_time;
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}


{#-
Incremental strategy for small tables: all rows are computed anew and replaced in one
transaction. Unlike dbt's table it is never swapped for another one, so a reader never
waits for a table that is gone and the views on it need not be dropped.
-#}
{% macro get_incremental_all_anew_sql(arg_dict) %}
    {%- set names = arg_dict['dest_columns'] | map(attribute='name') | list %}
    {%- set columns = names | join(', ') %}
    {%- set old = arg_dict['target_relation'] %}
    {%- set new = arg_dict['temp_relation'] %}
    {%- if this.schema == 'dwh_gold' and 'day' in names %}
    {%- set first_different_day -%}
    (
        select min(day) from (
            (
                select {{ columns }} from {{ old }}
                except all
                select {{ columns }} from {{ new }}
            )
            union all
            (
                select {{ columns }} from {{ new }}
                except all
                select {{ columns }} from {{ old }}
            )
        ) as different
    )
    {%- endset %}
    {{ log_change(first_different_day) }};
    {%- endif %}
    delete from {{ old }};
    insert into {{ old }} ({{ columns }})
    select {{ columns }} from {{ new }}
{% endmacro %}


{#-
dbt's view is dropped and made again, and takes the views on it along: for a moment, or
until the next good build, there is none. This one is replaced in place; a view whose
columns changed asks for --full-refresh, like a table.
-#}
{% materialization view, adapter='postgres' %}
    {%- set view = this.incorporate(type='view') %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') %}
        {% if should_full_refresh() %}
        drop view if exists {{ view }} cascade;
        {% endif %}
        create or replace view {{ view }}
        {{ get_assert_columns_equivalent(sql) }}
        as (
            {{ sql }}
        );
    {% endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [view]}) }}
{% endmaterialization %}


{#-
Post-hook of all tables. What has grown to more than twice what the planner knows of it is
analysed before the next model reads it: autovacuum comes a minute later, and a build that
takes the first day of a fleet would join empty tables, as the planner believes.
-#}
{% macro analyze_grown() %}
    {%- if config.get('materialized') == 'incremental' %}
    do $analyze$
    begin
        if (
            select pg_relation_size(oid) > 2 * 8192 * greatest(relpages, 8)
            from pg_class
            where oid = '{{ this.include(database=false) }}'::regclass
        ) then
            analyze {{ this }};
        end if;
    end
    $analyze$;
    {%- endif %}
{% endmacro %}
