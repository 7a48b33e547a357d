{#-
The ledger: which loads has each model read?

1. Each build has a number, build_id. on-run-start (offer_loads) lists under it the loads
   that have become complete since the last build.
2. Before a model runs, claim_builds notes: this model reads builds after_build_id + 1 to
   build_id. The rows and the claim are committed in one transaction, so a crash leaves both or
   neither.

A claim is one number per model, however many loads there are. It counts builds and not load
ids, because a load that dlt completes late has an old id. Builds never overlap, because the dbt
runner holds an advisory lock. Migration 0007_builds creates the tables.
-#}

{#-
A table of the ledger.
ledger('claims')  ->  "fireside".tracksolid.claims
-#}
{% macro ledger(table) -%}
    {{ target.database }}.{{ generate_schema_name('tracksolid') }}.{{ table }}
{%- endmacro %}


{#-
The table of builds. A preview (orchestrate.py kpi preview) reads this table and offered_loads
in production and never writes to them, so it ignores newer loads.
builds()  ->  "fireside".tracksolid.builds
-#}
{% macro builds() -%}
    {{ target.database }}.tracksolid.builds
{%- endmacro %}


{#-
The table of loads, each with the build that listed it.
offered_loads()  ->  "fireside".tracksolid.offered_loads
-#}
{% macro offered_loads() -%}
    {{ target.database }}.tracksolid.offered_loads
{%- endmacro %}


{#-
Pre-hook of everything that dbt builds: a dbt that the product has not started, such as `dbt run` in
a shell, waits until no build of the product runs; such a build waits for the model in turn. The
product's own dbt holds this lock already (warehouse/dbt_runner.py) and has a name of its own.
    select pg_advisory_xact_lock_shared(hashtext('fireside dbt')), …; or nothing
-#}
{% macro wait_for_builds() -%}
    {%- if target.application_name != 'fireside dbt' -%}
    select
        pg_advisory_xact_lock_shared(hashtext('fireside dbt')),
        pg_advisory_xact_lock(hashtext('fireside dbt'), hashtext('{{ this.name if this }}'));
    {%- endif -%}
{%- endmacro %}


{#-
on-run-start: start a build and list the complete loads that no earlier build has listed. `dbt
run` looks only at loads that are newer than a day before the last build. `dbt build` searches
all loads for a missed one, which takes longer: a year has millions of loads.

    with last_build as (…), this_build as (insert into …builds … returning build_id)
    insert into …offered_loads (load_id, build_id)
    select distinct complete.load_id, this_build.build_id from raw.complete_loads …
-#}
{% macro offer_loads() %}
    {%- if flags.WHICH in ('build', 'run') and not var('preview_schema', none) %}
    {{ wait_for_builds() }}
    with

    last_build as (

        select max(began_at) as began_at from {{ builds() }}

    ),

    this_build as (

        insert into {{ builds() }} (invocation_id) values ('{{ invocation_id }}')
        returning build_id

    )

    insert into {{ offered_loads() }} (load_id, build_id)
    -- distinct, because a loader that was killed just after it noted a load notes it again.
    select distinct
        complete.load_id,
        this_build.build_id
    from {{ source('raw', 'complete_loads') }} as complete
    cross join this_build
    where
        not exists (
            select from {{ offered_loads() }} as offered
            where offered.load_id = complete.load_id
        )
        {%- if flags.WHICH == 'run' %}
        and complete.inserted_at >= coalesce(
            (select began_at from last_build) - interval '1 day', '-infinity'
        )
        {%- endif %};
    {%- endif %}
{% endmacro %}


{#-
Pre-hook of every incremental model except those of replace_all: claim the builds that this
run reads. Config of a model:
  reads_from        models that this model reads: it claims the builds that all of them have
                    claimed. Without it, the model reads raw and claims the current build.
  reads_changes_of  models whose changed days a mart computes again (replace_changed_days)
  recomputed_with   small tables, such as zones, on which every row depends. If their content
                    changes, or an operating rule that the SQL names, or in gold the SQL itself
                    with its macros, the model deletes its rows and computes all of them again.
                    A model that reads raw cannot do this while rows of raw are in archived files:
                    its content_id is 'outdated' until a build can (orchestrate.py doctor says so).

    insert into …claims as known (model, after_build_id, build_id, content_id)
    select 'trips', 0, coalesce(max(build_id), 0), null from …builds
    on conflict (model) do update set
        after_build_id = known.build_id,
        build_id = greatest(known.build_id, excluded.build_id), …
-#}
{% macro claim_builds() %}
    {%- set is_kept = config.get('materialized') == 'incremental' %}
    {%- if is_kept and config.get('incremental_strategy') not in (none, 'replace_all') %}
    {%- set content = content_id(config.get('recomputed_with', [])) or 'null' %}
    {%- set reads_raw = 'source.' in model.depends_on.nodes | join(' ') %}
    {%- if not is_incremental() %}
    {{ forget_claims() }}
    {%- elif content != 'null' %}
    do $start_over$
    begin
        if {{ content }} is distinct from (
            select content_id from {{ ledger('claims') }} where model = '{{ this.name }}'
        )
        {%- if reads_raw %}
        -- Rows whose records of raw are in archived files cannot be computed again.
        and not exists (select from raw.archived_files)
        {%- endif %} then
            delete from {{ this }};
            {{ forget_claims() }}
        end if;
    end
    $start_over$;
    {%- endif %}
    insert into {{ ledger('claims') }} as known
    (model, after_build_id, build_id, content_id)
    select
        '{{ this.name }}',
        0,
        {%- if config.get('reads_from') %}
        case when count(*) = {{ config.get('reads_from') | length }} then min(build_id) else 0 end,
        {%- else %}
        coalesce(max(build_id), 0),
        {%- endif %}
        {%- if reads_raw and content != 'null' %}
        case
            when exists (select from raw.archived_files) then 'outdated' else {{ content }}
        end
        {%- else %}
        {{ content }}
        {%- endif %}
    {%- if config.get('reads_from') %}
    from {{ ledger('claims') }}
    where model in ('{{ config.get("reads_from") | join("', '") }}')
    {%- else %}
    from {{ builds() }}
    {%- endif %}
    on conflict (model) do update set
        after_build_id = known.build_id,
        build_id = greatest(known.build_id, excluded.build_id),
        -- Rows that could not be computed again keep the model outdated.
        content_id = case
            when {{ content }} is not null and known.content_id is distinct from {{ content }}
                then 'outdated'
            else {{ content }}
        end;
    {%- if config.get('schema') == 'dwh_gold' %}
    {{ log_change("case when " ~ claimed('after_build_id') ~ " = 0 then '-infinity'::date end") }};
    {%- endif %}
    {%- elif is_kept and not is_incremental() %}
    {{ log_change("'-infinity'::date") }};
    {%- endif %}
{% endmacro %}


{#-
Delete the claim of a model, so that it reads all builds again.
    delete from …claims where model = 'trips'; delete from …carried_vehicles where …;
-#}
{% macro forget_claims() -%}
    delete from {{ ledger('claims') }} where model = '{{ this.name }}';
    delete from {{ ledger('carried_vehicles') }} where model = '{{ this.name }}';
{%- endmacro %}


{#-
The claim of a model: it reads builds after after_build_id, up to build_id.
claimed('build_id', 'trips')  ->  (select build_id from …claims where model = 'trips')
-#}
{% macro claimed(column, model_name=none) -%}
    (select {{ column }} from {{ ledger('claims') }} where model = '{{ model_name or this.name }}')
{%- endmacro %}


{#-
True if a model has read this load in any build.
    exists (select from …offered_loads … where offered.load_id = x and offered.build_id <= …)
-#}
{% macro has_read(model_name, load_id) -%}
    exists (
        select from {{ offered_loads() }} as offered
        where
            offered.load_id = {{ load_id }}
            and offered.build_id <= {{ claimed('build_id', model_name) }}
    )
{%- endmacro %}


{#-
Note the first day that this build changes in the model; null notes nothing.
    insert into …changed_days as known (model, build_id, first_day) select … on conflict …
-#}
{% macro log_change(first_day) -%}
    insert into {{ ledger('changed_days') }} as known (model, build_id, first_day)
    select
        '{{ this.name }}',
        (select max(build_id) from {{ builds() }}),
        change.first_day
    from (select {{ first_day }} as first_day) as change
    where change.first_day is not null
    on conflict (model, build_id) do update set
        first_day = least(known.first_day, excluded.first_day)
{%- endmacro %}


{#-
True for the days that a mart computes again: every day from the first changed day on.
has_changed('day')  ->  day >= (select … first changed day …), or true in the first build
-#}
{% macro has_changed(day) -%}
    {%- if not has_rows() -%}
    true
    {%- else -%}
    {{ day }} >= {{ first_changed_day() }}
    {%- endif -%}
{%- endmacro %}


{#-
The first day that the claimed builds have changed in the models of reads_changes_of; null
if nothing has changed, -infinity if the model reads everything again.
    (select case when claim.after_build_id = 0 then '-infinity' else (select min(…)) end …)
-#}
{% macro first_changed_day() -%}
    (
        select
            case
                when claim.after_build_id = 0 then '-infinity'
                else (
                    select min(changed.first_day)
                    from {{ ledger('changed_days') }} as changed
                    where
                        changed.model in ('{{ config.get("reads_changes_of", []) | join("', '") }}')
                        and changed.build_id > claim.after_build_id
                        and changed.build_id <= claim.build_id
                )
            end
        from {{ ledger('claims') }} as claim
        where claim.model = '{{ this.name }}'
    )
{%- endmacro %}


{#-
Fingerprint of all on which every row of a model depends: its recomputed_with tables, the operating
rules that its SQL names, itself or through macros, the fingerprints of the models that it reads
and, in gold, its SQL. A rule is named by a quoted text: its whole name, or the beginning up to "_".
    (select 'content/<md5 of the SQL>' || md5(string_agg(line, …)) from (…) as lines)
-#}
{% macro content_id(names) -%}
    {%- set sql = full_refresh_sql() if execute else '' -%}
    {%- set lines = [] -%}
    {%- for name in names -%}
        {%- do lines.append("select '" ~ name ~ " ' || content::text as line from " ~ ref(name) ~ " as content") -%}
    {%- endfor -%}
    {%- if execute and 'seed.' ~ project_name ~ '.operating_rules' in model.depends_on.nodes -%}
        {%- set texts = modules.re.findall("'([a-z0-9_]+)%?'", sql) | unique | sort -%}
        {%- do lines.append(
            "select concat_ws(' ', named.rule, named.city, named.value) from " ~ ref('operating_rules')
            ~ " as named where exists (select from unnest(array['" ~ texts | join("', '") ~ "']) as text"
            ~ " where named.rule = text or right(text, 1) = '_' and starts_with(named.rule, text))"
        ) -%}
    {%- endif -%}
    {%- if config.get('reads_from') -%}
        {%- do lines.append(
            "select content_id from " ~ ledger('claims') ~ " where content_id is not null and model in ('"
            ~ config.get('reads_from') | join("', '") ~ "')"
        ) -%}
    {%- endif -%}
    {%- set code = local_md5(sql.replace(target.database, '')) if config.get('schema') == 'dwh_gold' else '' -%}
    {%- set known = "md5(string_agg(line, e'\\n' order by line))" -%}
    {%- if lines -%}
    (
        select 'content/{{ code }}' || {{ "coalesce(" ~ known ~ ", '')" if code else known }}
        from ({{ lines | join(' union all ') }}) as lines (line)
    )
    {%- elif code -%}
    'content/{{ code }}'
    {%- endif -%}
{%- endmacro %}


{#-
The SQL of the model as a full refresh runs it, with all macros, whatever this run is: the SQL of the
first build and of later ones differs. is_incremental() is false for a model that is a table.
-#}
{% macro full_refresh_sql() -%}
    {%- set kept = model.config.materialized -%}
    {%- do model.config.update(materialized='table') -%}
    {%- set sql = render(model.raw_code) -%}
    {%- do model.config.update(materialized=kept) -%}
    {{- return(sql) -}}
{%- endmacro %}


{#-
The newest 200 rows of a raw table that a model has read. The data tests use this macro.
    (select answer.* from raw.… as answer where … order by answer._dlt_load_id desc limit 200)
-#}
{% macro newest_read(table, model_name) %}
    (
        select answer.*
        from {{ source('raw', table) }} as answer
        where {{ has_read(model_name, 'answer._dlt_load_id') }}
        order by answer._dlt_load_id desc
        limit 200
    )
{% endmacro %}


{#-
The loads that this model reads in this run, as an array: the planner expects few elements in an
array and therefore uses an index.
    array(select offered.load_id from …offered_loads as offered where …)
-#}
{% macro claimed_loads() -%}
    array(
        select offered.load_id
        from {{ offered_loads() }} as offered
        where
            offered.build_id > {{ claimed('after_build_id') }}
            and offered.build_id <= {{ claimed('build_id') }}
    )
{%- endmacro %}


{#-
True for the loads that this model reads in this run. In a unit test it is true for all rows.
is_claimed('load_id')  ->  load_id in (select * from unnest(array(…)))
-#}
{% macro is_claimed(load_id) -%}
    {%- if model.resource_type == 'unit_test' -%}
    {{ load_id }} is not null
    {%- elif is_incremental() -%}
    {{ load_id }} in (select * from unnest({{ claimed_loads() }}))
    {%- else -%}
    {{ load_id }} in (
        select offered.load_id
        from {{ offered_loads() }} as offered
        where offered.build_id <= {{ claimed('build_id') }}
    )
    {%- endif -%}
{%- endmacro %}


{#-
True for every row of raw in the claimed loads, because no such row is older than the first
fetched_at of these loads. The condition changes no result, but TimescaleDB can skip older
chunks.
is_landed_since('fetched_at')  ->  fetched_at >= (select min(coalesce(landed.first_fetched_at, …
-#}
{% macro is_landed_since(fetched_at) -%}
    {%- if not has_rows() -%}
    true
    {%- else -%}
    {{ fetched_at }} >= (
        select min(coalesce(landed.first_fetched_at, '-infinity'))
        from unnest({{ claimed_loads() }}) as claim (load_id)
        left join {{ source('raw', 'load_times') }} as landed
            on claim.load_id = landed.load_id
    )
    {%- endif -%}
{%- endmacro %}


{#-
The same as is_landed_since, for rows of another model, which has noted its first_times.
is_read_since('gps_time', 'position_history')  ->  gps_time >= (select min(coalesce(…
-#}
{% macro is_read_since(event_time, table) -%}
    {%- if not has_rows() -%}
    true
    {%- else -%}
    {{ event_time }} >= (
        select min(coalesce(noted.first_time, '-infinity'))
        from unnest({{ claimed_loads() }}) as claim (load_id)
        left join {{ ledger('first_times') }} as noted
            on
                claim.load_id = noted.load_id
                and noted.model = '{{ table }}'
    )
    {%- endif -%}
{%- endmacro %}


{#-
True for rows of raw of the last day. A view has no claim, so this limit keeps it from reading
compressed chunks.
is_recent('fetched_at')  ->  fetched_at > now() - interval '1 day'
-#}
{% macro is_recent(fetched_at) -%}
    {%- if model.resource_type == 'unit_test' -%}
    true
    {%- else -%}
    {{ fetched_at }} > now() - interval '1 day'
    {%- endif -%}
{%- endmacro %}


{#-
Note the time of the first row of each claimed load, for the models that read this model.
    insert into …first_times (model, load_id, first_time) select … on conflict …
-#}
{% macro note_first_times(relation) -%}
    insert into {{ ledger('first_times') }} (model, load_id, first_time)
    select
        '{{ this.name }}',
        own.load_id,
        coalesce(found.first_time, 'infinity')
    from unnest({{ claimed_loads() }}) as own (load_id)
    left join (
        select
            load_id,
            min({{ config.get('time_column') }}) as first_time
        from {{ relation }}
        group by load_id
    ) as found on own.load_id = found.load_id
    on conflict (model, load_id) do update set first_time = excluded.first_time
{%- endmacro %}


{#-
One row per device and claimed load: the first and last event of the device in the load. The
loads are read one by one, because with one condition for all loads the planner would read the
whole history instead of an index. A model that starts over reads the whole table.
    select imei, min(gps_time) as first_time, max(gps_time) as last_time from … group by imei
-#}
{% macro claimed_spans(table, event_time) -%}
    select
        imei,
        min({{ event_time }}) as first_time,
        max({{ event_time }}) as last_time
    from {{ ref(table) }}
    {%- if has_rows() %}
    where {{ claimed('after_build_id') }} = 0
    {%- endif %}
    group by imei
    {%- if has_rows() %}
    union all
    select
        span.imei,
        span.first_time,
        span.last_time
    from (
        select
            own.load_id,
            coalesce(noted.first_time, '-infinity') as first_time
        from unnest({{ claimed_loads() }}) as own (load_id)
        left join {{ ledger('first_times') }} as noted
            on
                own.load_id = noted.load_id
                and noted.model = '{{ table }}'
        where {{ claimed('after_build_id') }} > 0
    ) as claim
    inner join lateral (
        select
            event.imei,
            min(event.{{ event_time }}) as first_time,
            max(event.{{ event_time }}) as last_time
        from {{ ref(table) }} as event
        where
            event.load_id = claim.load_id
            and event.{{ event_time }} >= claim.first_time
        group by event.imei
    ) as span on true
    {%- endif %}
{%- endmacro %}
