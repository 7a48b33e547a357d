{#-
Trips and stops that the vendor reports again with another start, merged or split. A model of
reports (trip_reports, parking_reports) keeps every report; the model of what counts (trips,
parking_events) has the reports that no better report overlaps. The rule has no memory, so the
order of arrival does not matter.

A report has the columns imei, start_time, until_time (its end, at least a second after its
start), source, source_rank, fetched_at and record_id.
-#}

{#-
The end of the time that a report covers. A report without an end, or that ends before it starts,
covers the second of its start.
    greatest(coalesce(end_time, start_time + … ), start_time + interval '1 second')
-#}
{% macro until_time(end_time, duration_s) -%}
    greatest(
            coalesce({{ end_time }}, start_time + {{ duration_s }} * interval '1 second'),
            start_time + interval '1 second'
        )
{%- endmacro %}


{#-
The best of the better reports that overlap a report (`report`); no row if the report counts.
Better is from a richer source, else reported later. Neighbours may touch: an overlap counts if
it is longer than the operating rule report_touch, or at least half of the report. A running trip
may be reported before it has a length, so a better report that starts within half of report_touch
after a report shorter than report_touch counts as an overlap, too, unless one answer has both.
`same` lists columns that both must have in common.
    (select better.* from trip_reports as better where … order by … limit 1 offset 0)
-#}
{% macro better_report(reports, report, same=[]) -%}
    {%- set overlap -%}
    (
                            least(better.until_time, {{ report }}.until_time)
                            - greatest(better.start_time, {{ report }}.start_time)
                        )
    {%- endset -%}
    {%- set touch = rule('report_touch') ~ " * interval '1 second'" -%}
    (
        select better.*
        from {{ ref(reports) }} as better
        where
            better.imei = {{ report }}.imei
            and better.start_time > {{ report }}.start_time
            - {{ longest(reports, report ~ '.imei', 'until_time') }}
            and better.start_time
            < greatest({{ report }}.until_time, {{ report }}.start_time + {{ touch }} / 2)
            and (
                better.start_time = {{ report }}.start_time
                or (
                    {%- for column in same %}
                    better.{{ column }} is not distinct from {{ report }}.{{ column }} and
                    {%- endfor %}
                    (
                        {{ overlap }} > {{ touch }}
                        or {{ overlap }} >= ({{ report }}.until_time - {{ report }}.start_time) / 2
                        or (
                            {{ report }}.until_time < {{ report }}.start_time + {{ touch }}
                            and better.start_time >= {{ report }}.start_time
                            -- If one answer lists both, both count.
                            and (better.source_rank, better.fetched_at)
                            != ({{ report }}.source_rank, {{ report }}.fetched_at)
                        )
                    )
                )
            )
            and (
                better.source_rank, better.fetched_at, better.record_id, better.start_time
            ) > (
                {{ report }}.source_rank,
                {{ report }}.fetched_at,
                {{ report }}.record_id,
                {{ report }}.start_time
            )
        order by
            better.source_rank desc,
            better.fetched_at desc,
            better.record_id desc,
            better.start_time desc
        -- offset 0 keeps the planner from joining all reports of a device with each other.
        limit 1 offset 0
    )
{%- endmacro %}


{#-
The longest trip or stop of a device, as an interval: a row that reaches an instant starts at
most so long before it. An index on (imei, length) finds it.
    coalesce((select max(known.end_time - known.start_time) from …), '0')
-#}
{% macro longest(table, imei, end_time='end_time') -%}
    coalesce(
                (
                    select max(known.{{ end_time }} - known.start_time)
                    from {{ ref(table) }} as known
                    where known.imei = {{ imei }}
                ),
                '0'
            )
{%- endmacro %}


{#-
Rows of a device that start between two instants (both included), for a lateral join. `offset 0`
keeps the planner from reading the whole table instead of the index by device and start.
    (select * from trips as known where known.imei = … and known.start_time between … offset 0)
-#}
{% macro starting_between(table, imei, from_time, to_time) -%}
    (
        select *
        from {{ ref(table) }} as known
        where
            known.imei = {{ imei }}
            and known.start_time between {{ from_time }} and {{ to_time }}
        offset 0
    )
{%- endmacro %}


{#-
One row per device: the time in which the claimed builds have changed one of these models. A
model that starts over reads all time.
    select imei, min(from_time) as from_time, max(to_time) as to_time from … group by imei
-#}
{% macro spans_changed_in(tables) -%}
    select
        changed.imei,
        min(changed.from_time) as from_time,
        max(changed.to_time) as to_time
    from (
        {%- if has_rows() %}
        select
            noted.imei,
            noted.from_time,
            noted.to_time
        from {{ ledger('changed_spans') }} as noted
        where
            noted.model in ('{{ tables | join("', '") }}')
            and noted.build_id > {{ claimed('after_build_id') }}
            and noted.build_id <= {{ claimed('build_id') }}
        union all
        {%- endif %}
        {%- for table in tables %}
        select distinct
            every.imei,
            '-infinity'::timestamptz as from_time,
            'infinity'::timestamptz as to_time
        from {{ ref(table) }} as every
        {%- if has_rows() %}
        where {{ claimed('after_build_id') }} = 0
        {%- endif %}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as changed
    group by changed.imei
{%- endmacro %}


{#-
The same for a model of what counts: the span also includes the reports that reach into it,
because a change in it may make them count or not.
    select changed.imei, least(changed.from_time, (select min(…) …)) as from_time, to_time …
-#}
{% macro spans_of_changed_reports(reports) -%}
    {%- set touch = rule('report_touch') ~ " * interval '1 second'" -%}
    select
        changed.imei,
        least(
            changed.from_time,
            (
                select min(report.start_time)
                from {{ ref(reports) }} as report
                where
                    report.imei = changed.imei
                    and report.start_time < changed.from_time
                    and report.start_time > changed.from_time - greatest(
                        {{ longest(reports, 'changed.imei', 'until_time') }}, {{ touch }}
                    )
                    and greatest(report.until_time, report.start_time + {{ touch }})
                    > changed.from_time
            )
        ) as from_time,
        changed.to_time
    from ({{ spans_changed_in([reports]) }}) as changed
{%- endmacro %}


{#-
The rows of a model of what counts that a fact computes in this run: those in the changed spans
and all rows of a device whose vehicle has changed.
    select event.* from (…) as span inner join trips as event on … union select event.* …
-#}
{% macro rows_in_changed_spans(table) -%}
    select event.*
    from ({{ spans_changed_in([table]) }}) as span
    inner join lateral {{ starting_between(table, 'span.imei', 'span.from_time', 'span.to_time') }}
        as event on true
    {%- if has_rows() %}

    union

    select event.*
    from ({{ changed_vehicles() }}) as changed
    inner join {{ ref(table) }} as event
        on changed.imei = event.imei
    {%- endif %}
{%- endmacro %}


{#-
Delete the rows of this model that start in a span.
    delete from trips as known using (…) as span where …
-#}
{% macro delete_in_spans(spans) -%}
    delete from {{ this }} as known
    using ({{ spans }}) as span
    where
        known.imei = span.imei
        and known.start_time between span.from_time and span.to_time
{%- endmacro %}


{#-
Note the spans that this build changes in the model, for the models that read it.
    insert into …changed_spans as known (…) select … on conflict … do update set …
-#}
{% macro note_changed_spans(spans) -%}
    insert into {{ ledger('changed_spans') }} as known
    (model, build_id, imei, from_time, to_time)
    select
        '{{ this.name }}',
        (select max(build_id) from {{ builds() }}),
        span.imei,
        span.from_time,
        span.to_time
    from ({{ spans }}) as span
    on conflict (model, build_id, imei) do update set
        from_time = least(known.from_time, excluded.from_time),
        to_time = greatest(known.to_time, excluded.to_time)
{%- endmacro %}


{#-
Incremental strategy keep_reports, for models of reports: note the time that new and replaced
reports cover, then insert the reports and keep the better copy of each.
    insert into …changed_spans …; insert into trip_reports as kept … on conflict …
-#}
{% macro get_incremental_keep_reports_sql(arg_dict) %}
    {%- set keys = config.require('unique_key') %}
    {%- set spans %}
    select
        covered.imei,
        min(covered.start_time) as from_time,
        max(covered.until_time) as to_time
    from (
        select
            new.imei,
            new.start_time,
            new.until_time
        from {{ arg_dict['temp_relation'] }} as new
        union all
        select
            kept.imei,
            kept.start_time,
            kept.until_time
        from {{ arg_dict['temp_relation'] }} as new
        inner join {{ arg_dict['target_relation'] }} as kept using ({{ keys | join(', ') }})
    ) as covered
    group by covered.imei
    {%- endset %}
    {{ note_changed_spans(spans) }};
    {{ get_incremental_upsert_best_sql(arg_dict) }}
{% endmacro %}


{#-
Incremental strategy replace_counted, for the models of what counts: replace the rows in the spans
of changed reports, in one transaction. Config `reports` names the model of reports.
    insert into …changed_spans …; delete from trips as known using (…) as span where …;
    insert into trips …
-#}
{% macro get_incremental_replace_counted_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    {%- set spans = spans_of_changed_reports(config.require('reports')) %}
    {{ note_changed_spans(spans) }};
    {{ delete_in_spans(spans) }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}


{#-
Incremental strategy follow_counted, for facts with one row per counted trip or stop: delete the
rows in the changed spans, then insert and update as upsert_best does. Config `counted` names the
model that the fact follows.
    delete from fact_trips as known using (…) as span where …; insert into fact_trips …
-#}
{% macro get_incremental_follow_counted_sql(arg_dict) %}
    {%- set spans = spans_changed_in([config.require('counted')]) %}
    {{ log_change('(select ' ~ day_of('min(span.from_time)') ~ ' from (' ~ spans ~ ') as span)') }};
    {{ delete_in_spans(spans) }};
    {{ get_incremental_upsert_best_sql(arg_dict) }}
{% endmacro %}


{#-
Seconds from one time to another; null if the second one is earlier.
    case when end_time >= start_time then extract(epoch from end_time - start_time) end
-#}
{% macro seconds_between(start_time, end_time) -%}
    case when {{ end_time }} >= {{ start_time }} then extract(epoch from {{ end_time }} - {{ start_time }}) end
{%- endmacro %}
