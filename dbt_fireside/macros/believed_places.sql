{#-
Which places are believed? (FIX-N11)

1. A place from a cell tower or an access point (LBS, WIFI) may be kilometres off. It is no
   evidence of a movement: only GPS fixes make trails, visits and distances.
2. A GPS fix is judged by the GPS fixes around it, up to 5 before and 5 after it, at most 4 days
   away. A neighbour objects if no car could have driven from one place to the other in time. If
   the neighbours that object outnumber the others, and the fix itself, the place is refused.

The judgement depends on the set of fixes and not on the order of their arrival. A new fix can
change it for 5 fixes before and after, so readers of position_history compute these again.
-#}
{% macro neighbours() -%}
    {{ return(5) }}
{%- endmacro %}


{#- True if a fix is from GPS: coalesce(fix.position_type not in ('LBS', 'WIFI'), true) -#}
{% macro is_gps(fix) -%}
    coalesce({{ fix }}.position_type not in ('LBS', 'WIFI'), true)
{%- endmacro %}


{#- True if a fix says where the vehicle was: fix.latitude is not null and is_gps('fix') -#}
{% macro is_evidence(fix) -%}
    {{ fix }}.latitude is not null
    and {{ is_gps(fix) }}
{%- endmacro %}


{#-
True if no car could have driven from one fix to the other. Distances up to the operating rule
moved_distance are GPS drift.
    2 * 6371.0088 * … > 1 + 200 * abs(extract(epoch from fix.gps_time - other.gps_time)) / 3600
-#}
{% macro is_undrivable(latitude, longitude, gps_time, other_latitude, other_longitude, other_time) -%}
    {{ great_circle_km(
        '(' ~ latitude ~ ')::double precision',
        '(' ~ longitude ~ ')::double precision',
        '(' ~ other_latitude ~ ')::double precision',
        '(' ~ other_longitude ~ ')::double precision',
    ) }}
    > {{ belief('moved_distance', 1) }} + {{ belief('fastest_car', 200) }}
    * abs(extract(epoch from {{ gps_time }} - {{ other_time }})) / 3600
{%- endmacro %}


{#-
Time of the last neighbour of an instant, before it ('<') or after it ('>'); without neighbours
the instant itself.
    coalesce((select min(near.gps_time) from (select … order by … limit 5) as near), instant)
-#}
{% macro last_neighbour(fixes, imei, instant, side) -%}
    {%- set is_before = side == '<' -%}
    coalesce(
        (
            select {{ 'min' if is_before else 'max' }}(near.gps_time)
            from (
                select fix.gps_time
                from {{ fixes }} as fix
                where
                    fix.imei = {{ imei }}
                    and fix.gps_time {{ side }} {{ instant }}
                    and fix.gps_time {{ '>=' if is_before else '<=' }} {{ instant }}
                    {{ '-' if is_before else '+' }} interval '4 days'
                    and {{ is_gps('fix') }}
                order by fix.gps_time {{ 'desc' if is_before else 'asc' }}
                limit {{ neighbours() }}
            ) as near
        ),
        {{ instant }}
    )
{%- endmacro %}


{#-
One row per device with new fixes: the part of its trail in which a place may have changed or may
now be believed or refused.
    select imei, <5th fix before the first> as first_time, <5th fix after the last> as last_time …
-#}
{% macro judged_spans() -%}
    {%- set fixes = ref('position_history') -%}
    select
        new.imei,
        {{ last_neighbour(fixes, 'new.imei', 'new.first_time', '<') }} as first_time,
        {{ last_neighbour(fixes, 'new.imei', 'new.last_time', '>') }} as last_time
    from (
        select
            imei,
            min(first_time) as first_time,
            max(last_time) as last_time
        from ({{ claimed_spans('position_history', 'gps_time') }}) as claimed
        group by imei
    ) as new
{%- endmacro %}


{#-
The fixes (imei, gps_time) of a query whose places are refused. Only fixes near a step that no
car could have driven are judged, which are few.
    with numbered as (…), suspects as (…) select … having count(*) filter (…) > … + 1
-#}
{% macro refused_places(fixes) -%}
    with

    numbered as (

        select
            *,
            row_number() over steps as number,
            gps_time - lag(gps_time) over steps <= interval '4 days'
            and {{ is_undrivable(
                'latitude', 'longitude', 'gps_time', 'lag(latitude) over steps',
                'lag(longitude) over steps', 'lag(gps_time) over steps',
            ) }} as is_jump
        from {{ fixes }} as fix
        where {{ is_gps('fix') }}
        window steps as (partition by imei order by gps_time)

    ),

    suspects as (

        select distinct
            jump.imei,
            jump.number + near.distance as number
        from numbered as jump
        cross join generate_series({{ -neighbours() }}, {{ neighbours() - 1 }}) as near (distance)
        where jump.is_jump

    ),

    pairs as (

        select
            fix.imei,
            fix.gps_time,
            {{ is_undrivable(
                'fix.latitude', 'fix.longitude', 'fix.gps_time',
                'other.latitude', 'other.longitude', 'other.gps_time',
            ) }} as is_objection
        from suspects
        inner join numbered as fix
            on suspects.imei = fix.imei and suspects.number = fix.number
        cross join generate_series({{ -neighbours() }}, {{ neighbours() }}) as near (distance)
        inner join numbered as other
            on
                fix.imei = other.imei
                and fix.number + near.distance = other.number
                and other.gps_time between fix.gps_time - interval '4 days'
                and fix.gps_time + interval '4 days'
        where near.distance != 0

    )

    select
        imei,
        gps_time
    from pairs
    group by imei, gps_time
    having
        count(*) filter (where is_objection) > count(*) filter (where not is_objection) + 1
{%- endmacro %}


{#-
The last known place of a device before an instant, as a row of position_history. A cell tower
counts only if the last GPS fix is much older (operating rule gps_silence).
    (select place.* from (select … limit 1) as newest cross join lateral (…) as place limit 1)
-#}
{% macro last_place(imei, before) -%}
    {%- set fixes = ref('position_history') -%}
    (
        select place.*
        from (
            select max(known.gps_time) as gps_time
            from {{ fixes }} as known
            where
                known.imei = {{ imei }}
                and known.gps_time < {{ before }}
                and known.latitude is not null
        ) as newest
        cross join lateral ( -- noqa: ST05
            (
                select gps.*
                from {{ fixes }} as gps
                where
                    gps.imei = {{ imei }}
                    and gps.gps_time <= newest.gps_time
                    and gps.gps_time
                    > newest.gps_time - {{ belief('gps_silence', 168) }} * interval '1 hour'
                    and {{ is_evidence('gps') }}
                order by gps.gps_time desc
                limit 1
            )
            union all
            select any_fix.*
            from {{ fixes }} as any_fix
            where
                any_fix.imei = {{ imei }}
                and any_fix.gps_time = newest.gps_time
        ) as place
        order by {{ is_gps('place') }} desc
        limit 1
    )
{%- endmacro %}


{#- The fixes of judged_spans(): (select fix.* from (…) as span inner join lateral (…) as fix …) -#}
{% macro judged_fixes() -%}
    (
        select fix.*
        from ({{ judged_spans() }}) as span
        inner join lateral {{ fixes_between(
            'span.imei', 'span.first_time', "span.last_time + interval '1 microsecond'", 'true'
        ) }} as fix on true
    )
{%- endmacro %}


{#-
Pre-hook of rejected_records: forget the refused places that may be believed now.
    delete from rejected_records as known using (…) as fix where known.record_id = …
-#}
{% macro forget_refused_places() %}
    {%- if is_incremental() %}
    delete from {{ this }} as known
    using {{ judged_fixes() }} as fix
    where
        known.source = 'position_history'
        and known.record_id = {{ place_id('fix') }}
    {%- endif %}
{% endmacro %}


{#-
Pre-hook of rejection_days: forget the days on which a refused place may be believed now.
    delete from rejection_days as known using (…) as fix where known.day = …
-#}
{% macro forget_judged_days() %}
    {%- if is_incremental() %}
    delete from {{ this }} as known
    using {{ judged_fixes() }} as fix
    where known.day = {{ day_of('fix.fetched_at') }}
    {%- endif %}
{% endmacro %}


{#- Id of a fix in rejected_records: fix.imei || ' ' || extract(epoch from fix.gps_time) -#}
{% macro place_id(fix) -%}
    {{ fix }}.imei || ' ' || extract(epoch from {{ fix }}.gps_time)
{%- endmacro %}
