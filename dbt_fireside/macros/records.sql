{#-
The records of a raw table as typed columns under the vendor's names. Further columns:
  imei, request, fetched_at, record_id, load_id, body
  is_usable  false if a key is missing
  problems   fields that were sent but rejected (costs nothing unless it is selected)
  extra      fields of a push that vendor_fields() does not name; left out if the caller gives
             `fields`, as rejected_records does, which reads all tables

Nothing that a vendor sends can stop a run: each body is checked before it is parsed, once, and
each field is checked before it is cast. vendor_fields() lists the fields. A time counts only if
is_believed() says so. The rows come from the loads that this model has claimed. If the caller
gives `landed` (a query with the columns of the raw table), they come from that query.

records('heartbeats', …)  compiles to three nested selects:
    (select imei, …, "gateTime", is_object and … as is_usable, array_remove(…) as problems
     from (select …, case when … then sent."gateTime"::timestamptz end as "gateTime", …
           from (select answer.*, <body as json> as document from raw.… offset 0) as landed
           cross join lateral json_to_record(landed.document) as sent ("gateTime" text, …)
           offset 0) as typed)
-#}
{% macro records(table, landed=none, fields=none) -%}
    {%- set has_extra = fields is none and table.startswith('push_') -%}
    {%- set fields = fields or vendor_fields(table) -%}
    {%- set objects = [] -%}
    {%- set names = [] -%}
    {%- set spellings = [] -%}
    {%- for name, field in fields.items() if name != 'imei' -%}
        {%- do (objects if field.type == 'object' else names).append(name) -%}
        {%- do spellings.extend([] if field.type == 'object' else [name] + (field.also or [])) -%}
    {%- endfor -%}
    {%- set is_plain = spellings == names and not objects -%}
    (
        select
            imei,
            request,
            fetched_at,
            record_id,
            load_id,
            body,
            {%- for name in names %}
            {%- if is_report(fields[name]) %}
            case when {{ is_believed(name) }} then "{{ name }}" end as "{{ name }}",
            {%- else %}
            "{{ name }}",
            {%- endif %}
            {%- endfor %}
            {%- if has_extra %}
            extra,
            {%- endif %}
            is_object
            {%- for name, field in fields.items() if field.key %}
            and ({{ is_known(name, field) }}
            {%- if field.key is string %} or ({{ field.key }}) is not true{% endif -%}
            )
            {%- endfor %} as is_usable,
            array_remove(array[
                case when not is_object then 'body' end
                {%- for name, field in fields.items() if not field.is_long %},
                case
                    when
                        ({{ is_known(name, field) }}) is not true
                        {%- if name != 'imei' %}
                        and is_object
                        {%- endif %}
                        {%- if field.key is string %}
                        and (
                            ({{ field.key }})
                            or btrim("sent {{ name }}") not in ('', '-1', '-1.0')
                        )
                        {%- elif not field.key %}
                        and btrim("sent {{ name }}") not in ('', '-1', '-1.0')
                        {%- endif %}
                        {%- if field.unknown %}
                        and "sent {{ name }}" !~ '^ *{{ field.unknown }}([.]0*)? *$'
                        {%- endif %}
                        then '{{ name }}' {{- why_not_believed(name) if is_report(field) }}
                        {%- if name != 'imei' and is_short_text(field) %}
                        || case
                            when octet_length(btrim("sent {{ name }}")) > 500 then ' (over 500 bytes)' else ''
                        end
                        {%- endif %}
                end
                {%- endfor %}
            ], null) as problems
        from (
            select
                landed.request,
                landed.fetched_at,
                landed.record_id,
                landed._dlt_load_id as load_id,
                landed.body,
                {{ typed_value('landed.imei', {'key': 'imei' in fields}) }} as imei,
                {%- for name in names %}
                {{ typed_value('sent."' ~ name ~ '"', fields[name]) }} as "{{ name }}",
                sent."{{ name }}" as "sent {{ name }}",
                {%- endfor %}
                {%- for object in objects %}
                member."{{ object }}" as "sent {{ object }}",
                "{{ object }}".document as "as JSON {{ object }}",
                {%- endfor %}
                {%- if has_extra %}
                {{ unread_members(spellings, objects) }} as extra,
                {%- endif %}
                landed.document is not null as is_object,
                landed.fetched_at - {{ belief('gps_epoch', 7167) }} * interval '1 day'
                    as believed_from,
                landed.fetched_at + {{ belief('clock_ahead', 5) }} * interval '1 minute'
                    as believed_until
            from (
                select
                    answer.*,
                    {{ json_object('answer.body') }} as document
                from {{ landed or source('raw', table) }} as answer
                {%- if not landed %}
                where
                    {{ is_claimed('answer._dlt_load_id') }}
                    and {{ is_landed_since('answer.fetched_at') }}
                {%- endif %}
                offset 0
            ) as landed
            cross join lateral json_to_record(landed.document)
            as {{ 'sent' if is_plain else 'member' }} (
                {%- for name in spellings + objects %}
                "{{ name }}" text{{ ',' if not loop.last }}
                {%- endfor %}
            )
            {%- for object in objects %}
            cross join lateral (
                select {{ json_object('member."' ~ object ~ '"') }} as document
                from (values (1)) as once (number)
                offset 0
            ) as "{{ object }}"
            cross join lateral json_to_record("{{ object }}".document)
            as "in {{ object }}" (
                {%- for name in spellings %}
                "{{ name }}" text{{ ',' if not loop.last }}
                {%- endfor %}
            )
            {%- endfor %}
            {%- if not is_plain %}
            cross join lateral (
                select
                    {%- for name in names %}
                    coalesce(
                        {%- for place in ['member'] + objects %}
                        {%- set place_loop = loop %}
                        {%- for spelling in [name] + (fields[name].also or []) %}
                        nullif({{ place if place == 'member' else '"in ' ~ place ~ '"' }}."{{ spelling }}", '')
                        {{- ',' if not (loop.last and place_loop.last) }}
                        {%- endfor %}
                        {%- endfor %}
                    ) as "{{ name }}"{{ ',' if not loop.last }}
                    {%- endfor %}
                from (values (1)) as once (number)
                offset 0
            ) as sent
            {%- endif %}
            -- offset 0, here and above, keeps the planner from parsing and casting again for
            -- each use of a column.
            offset 0
        ) as typed
    )
{%- endmacro %}


{#-
Fields of a record that no column reads, as jsonb; null if there are none.
    (select jsonb_object_agg(other.name, …) from (…) as other where …)
-#}
{% macro unread_members(spellings, objects) -%}
    {%- set read = ['imei', 'deviceImei'] + spellings -%}
    (
                    select
                        jsonb_object_agg(
                            other.name,
                            case
                                when pg_input_is_valid(other.value, 'jsonb')
                                    then other.value::jsonb
                                else to_jsonb(other.value)
                            end
                        )
                    from (
                        select member.key as name, member.value::text as value
                        from json_each(landed.document) as member
                        where member.key not in ('{{ (read + objects) | join("', '") }}')
                        {%- for object in objects %}
                        union all
                        select '{{ object }}.' || member.key, member.value::text
                        from json_each("{{ object }}".document) as member
                        where member.key not in ('{{ read | join("', '") }}')
                        {%- endfor %}
                    ) as other
                    where other.value not in ('null', '""')
                )
{%- endmacro %}


{#-
A text as a JSON object; null if the text is no JSON object. The type is json and not jsonb:
json takes half the time, and a number that is too large for PostgreSQL rejects only its field
and not the whole record. Casting to json does not find two errors, which would stop the query
when a field is read:
  - escapes of characters that text cannot hold (\u0000): the check as jsonb finds them
  - nesting deeper than the stack (10,000 levels pass with the default 2 MB): a long text
    with 2,000 opening brackets or more is rejected
    case when … then null when body is not json object then null when … then body::json end
-#}
{% macro json_object(body) -%}
    case
        when
            octet_length({{ body }}) >= 4000
            and length({{ body }}) - length(translate({{ body }}, '[{', '')) >= 2000
            then null
        when {{ body }} is not json object then null
        when strpos({{ body }}, '\u') = 0 or pg_input_is_valid({{ body }}, 'jsonb')
            then {{ body }}::json
    end
{%- endmacro %}


{#-
A text as a value of the type that vendor_fields() gives; null if the text is rejected.
    number  ->  case when not pg_input_is_valid(x, 'numeric(18, 6)') then null when … end
-#}
{% macro typed_value(given, field) -%}
    {%- if field.type == 'number' -%}
    case
        when not pg_input_is_valid({{ given }}, 'numeric(18, 6)') then null
        {%- if field.unknown %}
        when {{ given }}::numeric(18, 6) = {{ field.unknown }} then null
        {%- endif %}
        when {{ given }}::numeric(18, 6) between {{ field.range | join(' and ') }}
            then {{ given }}::numeric(18, 6)
    end
    {%- elif field.type == 'local' -%}
    {%- set has_zone = "'(Z|[+-][0-9]{2}(:?[0-9]{2})?) *$'" -%}
    {%- set instant -%}
    (
        {{ given }} || case
            when {{ given }} ~ {{ has_zone }} then '' else ' {{ var("fleet_timezone") }}'
        end
    )
    {%- endset -%}
    case
        when {{ given }} !~ '^ *2[0-9]{3}-[0-9]{2}-[0-9]{2}[T ]+[0-9]{1,2}:[0-9]{2}' then null
        when not pg_input_is_valid({{ instant }}, 'timestamptz') then null
        when
            {{ instant }}::timestamptz between '2000-01-01Z'
            and landed.fetched_at + interval '1 day'
            then {{ instant }}::timestamptz
    end
    {%- elif field.type in ('utc', 'instant') -%}
    {#- The time is UTC unless the text names its zone; the hour may lack its leading zero. The
        pattern rejects other texts that PostgreSQL would read as a time, such as "now". -#}
    {%- set instant -%}
    (
        {{ given }} || case
            when {{ given }} like any(array['%Z', '%+__:__', '%-__:__']) then '' else 'Z'
        end
    )
    {%- endset -%}
    case
        {%- if field.type == 'instant' %}
        when pg_input_is_valid({{ given }}, 'numeric(20, 3)') then case
            {%- for units_per_second in [1, 1000] %}
            -- from 2000 to 2200
            when
                {{ given }}::numeric(20, 3) / {{ units_per_second }} between 946684800
                and 7258118400
                then to_timestamp(({{ given }}::numeric(20, 3) / {{ units_per_second }})::double precision)
            {%- endfor %}
        end
        {%- endif %}
        when {{ given }} not like '2___-__-___%:__:__%' then null
        when not pg_input_is_valid({{ instant }}, 'timestamptz') then null
        when {{ instant }}::timestamptz between '2000-01-01Z' and '2200-01-01Z'
            then {{ instant }}::timestamptz
    end
    {%- elif field.type == 'date' -%}
    case
        when {{ given }} !~ '^ *2[0-9]{3}-[0-9]{2}-[0-9]{2} *$' then null
        when not pg_input_is_valid({{ given }}, 'date') then null
        when {{ given }}::date <= landed.fetched_at::date + 1 then {{ given }}::date
    end
    {%- elif field.type == 'flag' -%}
    case lower({{ given }})
        when '1' then true when 'on' then true when 'true' then true
        when '0' then false when 'off' then false when 'false' then false
    end
    {%- elif is_short_text(field) -%}
    {#- Nearly every text becomes part of a key in staging or gold, and PostgreSQL cannot
        index a text of 2,700 bytes. -#}
    case when octet_length(btrim({{ given }})) <= 500 then nullif(btrim({{ given }}), '') end
    {%- else -%}
    nullif(btrim({{ given }}), '')
    {%- endif -%}
{%- endmacro %}


{#- True for a text that staging rejects if it is longer than 500 bytes. -#}
{% macro is_short_text(field) -%}
    {{ return((field.type or 'text') == 'text' and not field.is_long) }}
{%- endmacro %}


{#- True if the field is the time of a report, and not a date of the contract. -#}
{% macro is_report(field) -%}
    {{ return(field.type in ('utc', 'instant') and not field.is_date) }}
{%- endmacro %}


{#-
FIX-N02, FIX-N03: a time is believed from a GPS epoch before its arrival to a few minutes after
it (operating rules). After an edit of these rules all records are judged again (claim_builds()).
    ("gpsTime" between believed_from and believed_until) is true
-#}
{% macro is_believed(name) -%}
    ("{{ name }}" between believed_from and believed_until) is true
{%- endmacro %}


{#-
An operating rule of staging. A unit test has its value from here, because otherwise the unit
tests of all staging models would have to name the rules as an input.
-#}
{% macro belief(name, in_unit_tests) -%}
    {{ in_unit_tests if model.resource_type == 'unit_test' else rule(name) }}
{%- endmacro %}


{#- True if a field has a value that is used: "lat" is not null, or is_believed('gpsTime'). -#}
{% macro is_known(name, field) -%}
    {%- if is_report(field) -%}
    {{ is_believed(name) }}
    {%- else -%}
    {{ '"as JSON ' if field.type == 'object' else '"' }}{{ name }}" is not null
    {%- endif -%}
{%- endmacro %}


{#-
Words after the name of a time that is not believed; nothing if the text is no time.
    || case when "gpsTime" > fetched_at then ' is 2 h 55 min after its arrival: …' … else '' end
-#}
{% macro why_not_believed(name) %}
                        || case
                            when "{{ name }}" > fetched_at
                                then ' is ' || {{ in_words(name, 'fetched_at') }}
                                || ' after its arrival: the tracker''s clock runs ahead'
                            when "{{ name }}" < fetched_at
                                then ' is ' || {{ in_words('fetched_at', name) }}
                                || ' before its arrival: it is of another GPS epoch'
                            else ''
                        end
{%- endmacro %}


{#- The time from one column to a later one as text: 7168 d 0 h 1 min, or 2 h 55 min. -#}
{% macro in_words(later, earlier) -%}
    regexp_replace(
                                    to_char("{{ later }}" - "{{ earlier }}", 'FMDD "d" FMHH24 "h" FMMI "min"'),
                                    '^0 d (0 h )?', ''
                                )
{%- endmacro %}


{#- Rows of location_list or location_get, which have the same fields, as fixes. -#}
{% macro located_fixes(table, landed=none) %}
    select
        ---------- ids
        imei,
        "gpsTime" as gps_time,
        'poll' as source,
        3::smallint as source_rank,

        ---------- place
        "lat"::numeric(9, 6) as latitude,
        "lng"::numeric(9, 6) as longitude,
        {{ position_type('"posType"') }} as position_type,
        null::boolean as is_late,
        "gpsNum"::smallint as satellites_count,
        "gpsSignal"::smallint as signal_level,
        "confidence"::smallint as confidence_level,
        "locDesc" as place,

        ---------- motion
        "speed"::numeric(6, 2) as speed_kmh,
        "direction"::numeric(5, 2) as heading_deg,
        "accStatus" as is_ignition_on,
        "currentMileage"::numeric(12, 3) as odometer_km,

        ---------- condition
        "powerValue"::numeric(7, 3) as external_voltage_v,
        "electQuantity"::numeric(5, 2) as battery_pct,
        "temperature"::numeric(6, 2) as temperature_c,
        "hbTime" as heartbeat_time,

        ---------- lineage
        fetched_at,
        record_id,
        load_id
    from {{ records(table, landed) }} as located
    where
        is_usable
        and "gpsTime" is not null
        and "expireFlag" is distinct from false
        and "lat" is not null
        and "lng" is not null
        -- The vendor answers 0,0 for a device without a fix and for an expired one.
        and not ("lat" = 0 and "lng" = 0)
{% endmacro %}


{#-
The name of a position type that the vendor sends as a digit.
    case … when '1' then 'GPS' … end
-#}
{% macro position_type(given) -%}
    case upper({{ given }})
            when '1' then 'GPS'
            when '2' then 'LBS'
            when '3' then 'WIFI'
            when '5' then 'BEACON'
            else upper({{ given }})
        end
{%- endmacro %}


{#-
Two columns, latitude and longitude in degrees; null for the vendor's 0,0, which is no position.
    (case when not ("lat" = 0 and "lng" = 0) then "lat" end)::numeric(9, 6) as latitude, …
-#}
{% macro coordinates(latitude, longitude, prefix='') -%}
    {%- for column, source in [('latitude', latitude), ('longitude', longitude)] -%}
    (
            case when not ("{{ latitude }}" = 0 and "{{ longitude }}" = 0) then "{{ source }}" end
        )::numeric(9, 6) as {{ prefix }}{{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#- The same for the old system, which has a GeoJSON point and, in some tables, two columns. -#}
{% macro coordinates_or_point(point, prefix='', latitude=none, longitude=none) -%}
    {%- set axes = 'regexp_match("' ~ point ~ '", ' ~ "'\"coordinates\": *\\[ *(-?[0-9]{1,3}(?:\\.[0-9]+)?), *(-?[0-9]{1,2}(?:\\.[0-9]+)?)')" -%}
    {%- set x = '(' ~ axes ~ ')[1]::numeric' -%}
    {%- set y = '(' ~ axes ~ ')[2]::numeric' -%}
    {%- if latitude -%}
    {%- set x = 'coalesce("' ~ longitude ~ '", ' ~ x ~ ')' -%}
    {%- set y = 'coalesce("' ~ latitude ~ '", ' ~ y ~ ')' -%}
    {%- endif -%}
    {%- for column, value in [('latitude', y), ('longitude', x)] -%}
    (
            case
                when
                    abs({{ y }}) <= 90 and abs({{ x }}) <= 180
                    and not ({{ y }} = 0 and {{ x }} = 0)
                    then {{ value }}
            end
        )::numeric(9, 6) as {{ prefix }}{{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
