{#-
Which loads a model has taken. A load is claimed in the model's own transaction, so that
its rows and its claim are committed together or not at all. A set difference, never a
maximum: a package that is settled late carries an old id. A preview has a ledger of its
own, a copy of the real one to begin with.
-#}

{% macro claimed_loads() -%}
    {{ target.database }}.{{ generate_schema_name('tracksolid') }}.claimed_loads
{%- endmacro %}


{% macro create_claimed_loads() %}
    create schema if not exists {{ generate_schema_name('tracksolid') }};
    create table if not exists {{ claimed_loads() }} (
        model text not null,
        load_id text not null,
        invocation_id text not null,
        claimed_at timestamptz not null default now(),
        first_time timestamptz, -- of what the model took of it, in its time_column
        primary key (model, load_id)
    );
    create index if not exists claimed_loads_by_invocation
        on {{ claimed_loads() }} (invocation_id, model);
    create table if not exists {{ changed_days() }} (
        model text not null,
        invocation_id text not null,
        first_day date not null,
        primary key (model, invocation_id)
    );
{% endmacro %}


{#- From which day on each build has changed a model: what the marts on it take. -#}
{% macro changed_days() -%}
    {{ target.database }}.{{ generate_schema_name('tracksolid') }}.changed_days
{%- endmacro %}


{#-
Pre-hook of the models that build on what they have (all strategies but all_anew).
  takes_from        a model on other models takes the loads that all of these have taken;
                    without it, the complete loads of raw
  takes_changes_of  a mart takes the builds that have changed these models (days_anew)
  starts_over_with  small tables whose every row matters to every row here: when their
                    content changes, or in gold the model's own SQL, the model forgets all
                    it has and takes it again
-#}
{% macro claim_loads() %}
    {%- if config.get('incremental_strategy') not in (none, 'all_anew') %}
        {%- set content = content_id(config.get('starts_over_with', [])) %}
        {%- if not is_incremental() %}
            {%- set starts_over = 'true' %}
        {%- elif content %}
            {%- set starts_over = 'not ' ~ is_taken(content) %}
        {%- else %}
            {%- set starts_over = 'false' %}
        {%- endif %}
        {%- if is_incremental() %}
    {#- Two steps: on Citus the condition and the table are in different places. #}
    do $claims$
    begin
        if {{ starts_over }} then
            delete from {{ this }};
        end if;
    end
    $claims$;
        {%- endif %}
        {%- if config.get('schema') == 'dwh_gold' %}
    insert into {{ changed_days() }} (model, invocation_id, first_day)
    select '{{ this.name }}', '{{ invocation_id }}', '-infinity'
    where {{ starts_over }};
        {%- endif %}
    delete from {{ claimed_loads() }}
    where model = '{{ this.name }}' and {{ starts_over }};
    insert into {{ claimed_loads() }} (model, load_id, invocation_id)
    select '{{ this.name }}', given.load_id, '{{ invocation_id }}'
    from (
        {%- if config.get('takes_from') %}
        select load_id
        from {{ claimed_loads() }}
        where model in ('{{ config.get("takes_from") | join("', '") }}')
        group by load_id
        having count(*) = {{ config.get('takes_from') | length }}
        {%- elif config.get('takes_changes_of') %}
        select model || '/' || invocation_id as load_id
        from {{ changed_days() }}
        where model in ('{{ config.get("takes_changes_of") | join("', '") }}')
        {%- else %}
        -- A loader that was killed just after it noted a load notes it again.
        select distinct load_id
        from {{ source('raw', '_dlt_loads') }}
        where
            status = 0
            {%- if var('preview_schema', none) %}
            -- What has landed since the build would look like the work of a change.
            and load_id in (select load_id from {{ claimed_loads() }})
            {%- endif %}
        {%- endif %}
        {%- if content %}
        union all
        select {{ content }}
        {%- endif %}
    ) as given
    where not {{ is_taken('given.load_id') }};
    {%- elif config.get('materialized') == 'incremental' and not is_incremental() %}
    {{ log_change("'-infinity'::date") }};
    {%- endif %}
{% endmacro %}


{% macro is_taken(load_id) -%}
    exists (
        select from {{ claimed_loads() }} as taken
        where taken.model = '{{ this.name }}' and taken.load_id = {{ load_id }}
    )
{%- endmacro %}


{#- Note from which day on this build changes the model; null is no change. -#}
{% macro log_change(first_day) -%}
    insert into {{ changed_days() }} as known (model, invocation_id, first_day)
    select '{{ this.name }}', '{{ invocation_id }}', change.first_day
    from (select {{ first_day }} as first_day) as change
    where change.first_day is not null
    on conflict (model, invocation_id) do update set
        first_day = least(known.first_day, excluded.first_day)
{%- endmacro %}


{#- Condition on the days that a mart has to compute again: all since the first change. -#}
{% macro has_changed(day) -%}
    {%- if model.resource_type == 'unit_test' or not is_incremental() -%}
    true
    {%- else -%}
    {{ day }} >= {{ first_changed_day() }}
    {%- endif -%}
{%- endmacro %}


{#- The first day that any change claimed in this run touches; null for no change. -#}
{% macro first_changed_day() -%}
    (
        select min(coalesce(changed.first_day, '-infinity'))
        from {{ claimed_loads() }} as claim
        left join {{ changed_days() }} as changed
            on claim.load_id = changed.model || '/' || changed.invocation_id
        where
            claim.model = '{{ this.name }}'
            and claim.invocation_id = '{{ invocation_id }}'
    )
{%- endmacro %}


{#- What some small tables hold now, and in gold the model's own SQL, as a load id. -#}
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


{#- Newest rows of a raw table that a model has taken; the load ids are Unix times. -#}
{% macro newest_taken(table, model) %}
    (
        select answer.*
        from {{ source('raw', table) }} as answer
        where answer._dlt_load_id in (
            select claim.load_id
            from {{ claimed_loads() }} as claim
            where claim.model = '{{ model }}'
            order by claim.load_id desc
            limit 200
        )
        order by answer.fetched_at desc
        limit 200
    )
{% endmacro %}


{#- True for the loads this model claimed in this run; a unit test gives just new rows. -#}
{% macro is_claimed(load_id) -%}
    {%- if model.resource_type == 'unit_test' -%}
    {{ load_id }} is not null
    {%- else -%}
    {{ load_id }} in (
        select claim.load_id
        from {{ claimed_loads() }} as claim
        where
            claim.model = '{{ this.name }}'
            and claim.invocation_id = '{{ invocation_id }}'
    )
    {%- endif -%}
{%- endmacro %}


{#-
Condition on the time of rows of raw that this model claimed in this run: none is older.
It says nothing new, but lets the planner leave out the chunks of a hypertable.
-#}
{% macro is_landed_since(fetched_at) -%}
    {%- if model.resource_type == 'unit_test' -%}
    true
    {%- else -%}
    {{ fetched_at }} >= (
        select min(coalesce(landed.first_fetched_at, '-infinity'))
        from {{ claimed_loads() }} as claim
        left join {{ source('raw', 'load_times') }} as landed
            on claim.load_id = landed.load_id
        where
            claim.model = '{{ this.name }}'
            and claim.invocation_id = '{{ invocation_id }}'
    )
    {%- endif -%}
{%- endmacro %}


{#- The same of the rows of another model, by what it noted of its own claims. -#}
{% macro is_taken_since(event_time, table) -%}
    {%- if model.resource_type == 'unit_test' -%}
    true
    {%- else -%}
    {{ event_time }} >= (
        select min(coalesce(taken.first_time, '-infinity'))
        from {{ claimed_loads() }} as claim
        left join {{ claimed_loads() }} as taken
            on
                claim.load_id = taken.load_id
                and taken.model = '{{ table }}'
        where
            claim.model = '{{ this.name }}'
            and claim.invocation_id = '{{ invocation_id }}'
    )
    {%- endif -%}
{%- endmacro %}


{#- Note in the claims of this run from when on their rows are, for those who read them. -#}
{% macro note_first_times(relation) -%}
    update {{ claimed_loads() }} as claim
    set first_time = coalesce(found.first_time, 'infinity')
    from {{ claimed_loads() }} as own
    left join (
        select
            load_id,
            min({{ config.get('time_column') }}) as first_time
        from {{ relation }}
        group by load_id
    ) as found on own.load_id = found.load_id
    where
        claim.model = own.model
        and claim.load_id = own.load_id
        and own.model = '{{ this.name }}'
        and own.invocation_id = '{{ invocation_id }}'
{%- endmacro %}


{#-
First and last event of each device in the loads this model claimed in this run. Load by
load through the index: as one condition, the planner would read all of the history.
-#}
{% macro claimed_spans(table, event_time) -%}
    select
        span.imei,
        span.first_time,
        span.last_time
    from (
        {%- if model.resource_type == 'unit_test' %}
        select distinct
            load_id,
            '-infinity'::timestamptz as first_time
        from {{ ref(table) }}
        {%- else %}
        select
            own.load_id,
            coalesce(taken.first_time, '-infinity') as first_time
        from {{ claimed_loads() }} as own
        left join {{ claimed_loads() }} as taken
            on
                own.load_id = taken.load_id
                and taken.model = '{{ table }}'
        where
            own.model = '{{ this.name }}'
            and own.invocation_id = '{{ invocation_id }}'
        {%- endif %}
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
{%- endmacro %}
