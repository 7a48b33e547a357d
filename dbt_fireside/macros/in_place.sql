{#-
Incremental strategy upsert_best: insert new rows; if the key exists, keep the better copy.
Config `precedence` lists the columns to compare, the most important first: the larger value
wins, or the smaller one if the name starts with "-". Equal copies are identical, so reading a
load twice changes nothing. Without precedence the new row always wins. Each new row costs one
index lookup.
    insert into trips as kept (…) select … on conflict (imei, start_time) do update set …
    where (excluded.fetched_at, …) >= (kept.fetched_at, …)
-#}
{% macro get_incremental_upsert_best_sql(arg_dict) %}
    {%- set keys = config.require('unique_key') %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list %}
    {#- The insert is last in all strategies, because dbt reports the rows of the last statement. #}
    {%- if config.get('time_column') %}
    {{ note_first_times(arg_dict['temp_relation']) }};
    {%- endif %}
    {%- if 'day' in columns %}
    {{ log_change('(select min(day) from ' ~ arg_dict['temp_relation'] ~ ')') }};
    {%- endif %}
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
{% endmacro %}


{#-
Incremental strategy replace_changed_days, for marts: compute all days again from the first
changed day on, and replace them in one transaction. Config `reads_changes_of` lists the facts
whose changes count.
    delete from kpi_… where day >= …; insert into kpi_… (…) select …;
-#}
{% macro get_incremental_replace_changed_days_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    {{ log_change(first_changed_day()) }};
    delete from {{ arg_dict['target_relation'] }} where {{ has_changed('day') }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}


{#- precedence_row('excluded', 'kept')  ->  (excluded.source_rank, excluded.fetched_at, …) -#}
{% macro precedence_row(one, other) -%}
    (
    {%- for column in config.get('precedence') -%}
        {{ other if column.startswith('-') else one }}.{{ column.lstrip('-') }}
        {{- ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}


{#-
Incremental strategy replace_span, for facts that are computed from the steps of the trail:
compute again the rows on each part of the trail (span) with new fixes, and replace them in one
transaction. Config `spans` names a macro with other spans, such as those of new alarms. The cost depends on the number of new fixes, not on the length of the day. Config
`replaced` is the condition that a row of this fact (known) lies on a span.
    delete from fact_… as known using (…) as span where …; insert into fact_… (…) select …;
-#}
{% macro get_incremental_replace_span_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    {%- set spans = context[config.get('spans', 'changed_spans')]() %}
    {{ log_change('(select min(first_day) from (' ~ spans ~ ') as span)') }};
    delete from {{ arg_dict['target_relation'] }} as known
    using ({{ spans }}) as span
    where {{ config.require('replaced') }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}


{#-
One row per device with new fixes: the span of its trail that changes, from the last fix before
the new fixes and their neighbours to the first fix after them. Nothing outside the span changes,
however late the new fixes arrive. With config `copies_drivers`, a new driver name also changes the trail from
its time on.
    select bounded.*, … as first_day from (select imei, … as from_time, … as to_time …) as bounded
-#}
{% macro changed_spans() -%}
    {%- set fixes = ref('position_history') -%}
    select
        bounded.*,
        {{ day_of('bounded.from_time') }} as first_day
    from (
        select
            changed.imei,
            coalesce(
                (
                    select max(fix.gps_time) from {{ fixes }} as fix
                    where
                        fix.imei = changed.imei
                        and fix.gps_time < changed.first_time
                        and {{ is_evidence('fix') }}
                ),
                changed.first_time
            ) as from_time,
            coalesce(
                case
                    -- An order by would make TimescaleDB start with its oldest chunks.
                    when changed.last_time > now() - interval '1 day' then (
                        select min(fix.gps_time)
                        from {{ fixes_between(
                            'changed.imei',
                            "changed.last_time + interval '1 microsecond'",
                            "'infinity'",
                        ) }} as fix
                    )
                    else (
                        select min(fix.gps_time) from {{ fixes }} as fix
                        where
                            fix.imei = changed.imei
                            and fix.gps_time > changed.last_time
                            and {{ is_evidence('fix') }}
                    )
                end,
                changed.last_time
            ) as to_time
        from (
            select
                imei,
                min(first_time) as first_time,
                max(last_time) as last_time
            from (
                {{ judged_spans() }}
                {%- if config.get('copies_drivers') and has_rows() %}
                union all
                select
                    named.imei,
                    -- The first known driver counts for all earlier time.
                    case
                        when exists (
                            select from {{ ref('device_drivers') }} as earlier
                            where
                                earlier.imei = named.imei
                                and earlier.fetched_at < named.first_time
                        )
                            then named.first_time
                        else (
                            select min(fix.gps_time) from {{ fixes }} as fix
                            where fix.imei = named.imei
                        )
                    end as first_time,
                    'infinity' as last_time
                from ({{ claimed_spans('device_drivers', 'fetched_at') }}) as named
                {%- endif %}
            ) as event
            where first_time is not null
            group by imei
        ) as changed
    ) as bounded
{%- endmacro %}


{#-
Pre-hook of newest_fixes: forget the fixes that position_history has, because they may be refused
now. A fix that keep_newest_fixes has added since is newer and remains.
    delete from newest_fixes as known using (…) as new where known.imei = new.imei and exists (…)
-#}
{% macro forget_judged_fixes() %}
    {%- if is_incremental() %}
    delete from {{ this }} as known
    using ({{ claimed_spans('position_history', 'gps_time') }}) as new
    where
        known.imei = new.imei
        and exists (
            select from {{ ref('position_history') }} as history
            where history.imei = known.imei and history.gps_time = known.gps_time
        )
    {%- endif %}
{% endmacro %}


{#-
As dbt's own, but only in a command that writes: dbt show and dbt compile read all loads, and not
only those that the next build would read.
-#}
{% macro is_incremental() -%}
    {{ return(flags.WHICH in ('build', 'run') and dbt.is_incremental()) }}
{%- endmacro %}


{#- True if this run adds to existing rows; false in a first build and in a unit test. -#}
{% macro has_rows() -%}
    {{ return(model.resource_type != 'unit_test' and is_incremental()) }}
{%- endmacro %}


{#-
Incremental strategy replace_from_first_change, for rows that depend on the row before them
(imei, start_time): replace all rows of a device from its first new row or its first change on,
in one transaction. Config `counted` lists the models whose changes count.
    delete from vehicle_states as known using (…) as new where …; insert into vehicle_states …
-#}
{% macro get_incremental_replace_from_first_change_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    delete from {{ arg_dict['target_relation'] }} as known
    using (
        select imei, min(first_time) as first_time
        from (
            select imei, start_time as first_time from {{ arg_dict['temp_relation'] }}
            union all
            select imei, from_time from ({{ spans_changed_in(config.require('counted')) }}) as span
        ) as changed
        group by imei
    ) as new
    where known.imei = new.imei and known.start_time >= new.first_time;
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}


{#-
Incremental strategy replace_all, for small tables: compute all rows again and replace them in
one transaction. dbt's own materialization `table` swaps the table for a new one. This strategy
keeps the table, so readers always find it and the views on it remain.
    delete from dim_vehicles; insert into dim_vehicles (…) select …
-#}
{% macro get_incremental_replace_all_sql(arg_dict) %}
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
Materialization view: replace a view in place. dbt's own materialization drops a view and the
views on it and creates them again, so readers miss them until then, or until the next
successful build. A view whose columns have changed needs --full-refresh, like a table.
    create or replace view … as (…);
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
Post-hook of all tables: analyze a table that has grown to more than twice its known size,
before the next model reads it. autovacuum would do so a minute later; until then the planner
would plan for empty tables on a fleet's first day.
    do $analyze$ begin if (…) then analyze …; end if; end $analyze$;
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
