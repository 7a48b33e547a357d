{#-
Which loads a model has taken. Each build offers the loads that have become complete since
the one before, under its number, and a model claims builds: all that it was offered up to
a number, in its own transaction, so that its rows and its claim are committed together or
not at all. A number per model, whatever the number of loads. It counts offers and not load
ids: a package that is settled late carries an old id, and is offered when it is there.
Builds follow one another: warehouse/dbt_runner.py lets no two work on a database at once. The
tables are made by warehouse/migrations/0007_builds.sql.
-#}

{% macro ledger(table) -%}
    {{ target.database }}.{{ generate_schema_name('tracksolid') }}.{{ table }}
{%- endmacro %}


{#- These two a preview reads as they are: what has landed since is none of its work. -#}
{% macro builds() -%}
    {{ target.database }}.tracksolid.builds
{%- endmacro %}


{% macro offered_loads() -%}
    {{ target.database }}.tracksolid.offered_loads
{%- endmacro %}


{#-
On-run-start. Of the loads that were complete long before the last build only `dbt build`
looks for one that was missed: in a year they are millions.
-#}
{% macro offer_loads() %}
    {%- if flags.WHICH in ('build', 'run') and not var('preview_schema', none) %}
    with

    last_build as (

        select max(began_at) as began_at from {{ builds() }}

    ),

    this_build as (

        insert into {{ builds() }} (invocation_id) values ('{{ invocation_id }}')
        returning build_id

    )

    insert into {{ offered_loads() }} (load_id, build_id)
    -- A loader that was killed just after it noted a load notes it again.
    select distinct
        complete.load_id,
        this_build.build_id
    from {{ source('raw', '_dlt_loads') }} as complete
    cross join this_build
    where
        complete.status = 0
        {%- if flags.WHICH == 'run' %}
        and complete.inserted_at >= coalesce(
            (select began_at from last_build) - interval '1 day', '-infinity'
        )
        {%- endif %}
        and not exists (
            select from {{ offered_loads() }} as offered
            where offered.load_id = complete.load_id
        );
    {%- endif %}
{% endmacro %}


{#-
Pre-hook of the models that build on what they have (all strategies but all_anew).
  takes_from        a model on other models takes the builds that all of these have taken;
                    without it, this one
  takes_changes_of  a mart takes what builds have changed in these models (days_anew)
  starts_over_with  small tables whose every row matters to every row here: when their
                    content changes, or in gold the model's own SQL, the model forgets all
                    it has and takes it again
-#}
{% macro claim_builds() %}
    {%- if config.get('incremental_strategy') not in (none, 'all_anew') %}
    {%- set content = content_id(config.get('starts_over_with', [])) or 'null' %}
    {%- if not is_incremental() %}
    {{ forget_all_taken() }}
    {%- elif content != 'null' %}
    do $start_over$
    begin
        if {{ content }} is distinct from (
            select content_id from {{ ledger('claims') }} where model = '{{ this.name }}'
        ) then
            delete from {{ this }};
            {{ forget_all_taken() }}
        end if;
    end
    $start_over$;
    {%- endif %}
    insert into {{ ledger('claims') }} as known
    (model, after_build_id, build_id, content_id)
    select
        '{{ this.name }}',
        0,
        {%- if config.get('takes_from') %}
        case when count(*) = {{ config.get('takes_from') | length }} then min(build_id) else 0 end,
        {%- else %}
        coalesce(max(build_id), 0),
        {%- endif %}
        {{ content }}
    {%- if config.get('takes_from') %}
    from {{ ledger('claims') }}
    where model in ('{{ config.get("takes_from") | join("', '") }}')
    {%- else %}
    from {{ builds() }}
    {%- endif %}
    on conflict (model) do update set
        after_build_id = known.build_id,
        build_id = greatest(known.build_id, excluded.build_id),
        content_id = excluded.content_id;
    {%- if config.get('schema') == 'dwh_gold' %}
    {{ log_change("case when " ~ claimed('after_build_id') ~ " = 0 then '-infinity'::date end") }};
    {%- endif %}
    {%- elif config.get('materialized') == 'incremental' and not is_incremental() %}
    {{ log_change("'-infinity'::date") }};
    {%- endif %}
{% endmacro %}


{% macro forget_all_taken() -%}
    delete from {{ ledger('claims') }} where model = '{{ this.name }}';
    delete from {{ ledger('carried_vehicles') }} where model = '{{ this.name }}';
{%- endmacro %}


{#- From (after_build_id) or up to (build_id) which build a model has claimed. -#}
{% macro claimed(column, model_name=none) -%}
    (select {{ column }} from {{ ledger('claims') }} where model = '{{ model_name or this.name }}')
{%- endmacro %}


{#- Has a model taken this load, in any build? -#}
{% macro has_taken(model_name, load_id) -%}
    exists (
        select from {{ offered_loads() }} as offered
        where
            offered.load_id = {{ load_id }}
            and offered.build_id <= {{ claimed('build_id', model_name) }}
    )
{%- endmacro %}


{#- Note from which day on this build changes the model; null is no change. -#}
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


{#- Condition on the days that a mart has to compute again: all since the first change. -#}
{% macro has_changed(day) -%}
    {%- if not has_rows() -%}
    true
    {%- else -%}
    {{ day }} >= {{ first_changed_day() }}
    {%- endif -%}
{%- endmacro %}


{#- The first day that any change claimed in this run touches; null for no change. -#}
{% macro first_changed_day() -%}
    (
        select
            case
                when claim.after_build_id = 0 then '-infinity'
                else (
                    select min(changed.first_day)
                    from {{ ledger('changed_days') }} as changed
                    where
                        changed.model in ('{{ config.get("takes_changes_of", []) | join("', '") }}')
                        and changed.build_id > claim.after_build_id
                        and changed.build_id <= claim.build_id
                )
            end
        from {{ ledger('claims') }} as claim
        where claim.model = '{{ this.name }}'
    )
{%- endmacro %}


{#- What some small tables hold now, and in gold the model's own SQL, as one text. -#}
{% macro content_id(names) -%}
    {%- set is_gold = config.get('schema') == 'dwh_gold' -%}
    {#- What an analyst changes in the SQL of a fact or a mart holds for all its days. -#}
    {%- set code = local_md5(model.raw_code) if is_gold else '' -%}
    {%- if names -%}
    (select 'content/{{ code }}' || md5(coalesce(string_agg(line, e'\n' order by line), '')) from (
        {%- for name in names %}
        select '{{ name }} ' || content::text as line from {{ ref(name) }} as content
        {{- ' union all' if not loop.last }}
        {%- endfor %}
    ) as lines)
    {%- elif code -%}
    'content/{{ code }}'
    {%- endif -%}
{%- endmacro %}


{#- Newest rows of a raw table that a model has taken. -#}
{% macro newest_taken(table, model_name) %}
    (
        select answer.*
        from {{ source('raw', table) }} as answer
        where {{ has_taken(model_name, 'answer._dlt_load_id') }}
        order by answer._dlt_load_id desc
        limit 200
    )
{% endmacro %}


{#-
The loads that this model claimed in this run. An array, as a few ids are few to the planner
then, and it looks for them in an index.
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


{#- True for the loads this model claimed in this run; a unit test gives just new rows. -#}
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
Condition on the time of rows of raw that this model claimed in this run: none is older.
It says nothing new, but lets the planner leave out the chunks of a hypertable.
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


{#- The same of the rows of another model, by what it noted of its own claims. -#}
{% macro is_taken_since(event_time, table) -%}
    {%- if not has_rows() -%}
    true
    {%- else -%}
    {{ event_time }} >= (
        select min(coalesce(taken.first_time, '-infinity'))
        from unnest({{ claimed_loads() }}) as claim (load_id)
        left join {{ ledger('first_times') }} as taken
            on
                claim.load_id = taken.load_id
                and taken.model = '{{ table }}'
    )
    {%- endif -%}
{%- endmacro %}


{#-
Condition on the time of rows of raw that a view reads beside what is built. It has no claim
that says from when on: a day, so that no chunk is read that is compressed.
-#}
{% macro is_recent(fetched_at) -%}
    {%- if model.resource_type == 'unit_test' -%}
    true
    {%- else -%}
    {{ fetched_at }} > now() - interval '1 day'
    {%- endif -%}
{%- endmacro %}


{#- Note of the loads of this run from when on their rows are, for those who read them. -#}
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
First and last event of each device in the loads this model claimed in this run. Load by
load through the index: as one condition, the planner would read all of the history. A
model that starts over takes it as it stands.
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
            coalesce(taken.first_time, '-infinity') as first_time
        from unnest({{ claimed_loads() }}) as own (load_id)
        left join {{ ledger('first_times') }} as taken
            on
                own.load_id = taken.load_id
                and taken.model = '{{ table }}'
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
