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
Incremental strategy of the facts made from steps of the trail: the days of each device
that new fixes touch are computed anew and replaced in one transaction.
-#}
{% macro get_incremental_device_days_anew_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    delete from {{ arg_dict['target_relation'] }} as known
    using ({{ touched_devices() }}) as touched
    where
        known.imei = touched.imei
        and known.day between touched.first_day and touched.last_day;
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
    {{ log_change('(select min(first_day) from (' ~ touched_devices() ~ ') as touched)') }}
{% endmacro %}


{#-
Devices with new fixes, and the days on which a step to or from one of these lies. How long
a fix speaks the next one tells, however late: the days begin with that of the fix before
the new ones, and what is read of them ends just past the first fix after them.
-#}
{% macro touched_devices() -%}
    select
        days.*,
        coalesce(
            (
                select min(known.gps_time) + interval '1 microsecond'
                from {{ ref('position_history') }} as known
                where
                    known.imei = days.imei
                    and known.gps_time >= {{ start_of('days.last_day + 2') }}
                    -- Of the newest ones there is none, see `believed`: no look at all.
                    and {{ start_of('days.last_day + 2') }} <= now() + interval '1 day'
            ),
            {{ start_of('days.last_day + 2') }}
        ) as read_until
    from (
        select
            span.imei,
            least(
                {{ day_of('span.first_time') }} - 1,
                {{ day_of('(
                    select max(known.gps_time)
                    from ' ~ ref('position_history') ~ ' as known
                    where known.imei = span.imei and known.gps_time < span.first_time
                )') }}
            ) as first_day,
            {{ day_of('span.last_time') }} + 1 as last_day
        from (
            select
                imei,
                min(first_time) as first_time,
                max(last_time) as last_time
            from ({{ claimed_spans('position_history', 'gps_time') }}) as news
            group by imei
        ) as span
    ) as days
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
