{#-
Circle around a point (longitude, latitude) as a polygon with 64 corners, in degrees, so that
every zone has the same PostgreSQL type.
circle_area('center', 'radius_km')  ->  polygon(64, circle(center, radius_km::… / 111.2))
-#}
{% macro circle_area(center, radius_km) -%}
    polygon(64, circle({{ center }}, {{ degrees_of(radius_km) }}))
{%- endmacro %}


{#-
A distance in km as degrees. A degree counts as 111.2 km in both directions. The error is below
2 % up to 10 degrees from the equator, where this fleet drives.
degrees_of('km')  ->  km::double precision / 111.2
-#}
{% macro degrees_of(km) -%}
    {{ km }}::double precision / 111.2
{%- endmacro %}


{#-
City of a position; null outside all zones. If zones overlap, the one with the first zone_id
counts.
    (select zone.city from dim_zones as zone where … and zone.area @> point(x, y) … limit 1)
-#}
{% macro city_at(longitude, latitude) -%}
    (
        select zone.city
        from {{ ref('dim_zones') }} as zone
        where
            zone.city is not null
            and zone.area @> point({{ longitude }}, {{ latitude }})
        order by zone.zone_id
        limit 1
    )
{%- endmacro %}


{#-
True if a position lies in a depot.
    exists (select from dim_zones as zone where zone.kind = 'depot' and zone.area @> point(x, y))
-#}
{% macro is_at_depot(longitude, latitude) -%}
    exists (
        select from {{ ref('dim_zones') }} as zone
        where
            zone.kind = 'depot'
            and zone.area @> point({{ longitude }}, {{ latitude }})
    )
{%- endmacro %}


{#- EAT day of an instant: ((t) at time zone 'Africa/Nairobi')::date -#}
{% macro day_of(instant) -%}
    (({{ instant }}) at time zone '{{ var("fleet_timezone") }}')::date
{%- endmacro %}


{#- Instant at which an EAT day begins: ((day)::timestamp at time zone 'Africa/Nairobi') -#}
{% macro start_of(day) -%}
    (({{ day }})::timestamp at time zone '{{ var("fleet_timezone") }}')
{%- endmacro %}


{#- Instant at which the EAT hour of an instant begins: date_trunc('hour', t, 'Africa/Nairobi') -#}
{% macro hour_of(instant) -%}
    date_trunc('hour', {{ instant }}, '{{ var("fleet_timezone") }}')
{%- endmacro %}


{#-
Great-circle distance in km of two positions in degrees (haversine formula).
    2 * 6371.0088 * asin(0.99999999999999 * sqrt(…))
The factor keeps asin() from an error at opposite places, where rounding may exceed 1.
-#}
{% macro great_circle_km(latitude, longitude, other_latitude, other_longitude) -%}
    2 * 6371.0088 * asin(0.99999999999999 * sqrt(
        sin(radians({{ latitude }} - {{ other_latitude }}) / 2) ^ 2
        + cos(radians({{ latitude }})) * cos(radians({{ other_latitude }}))
        * sin(radians({{ longitude }} - {{ other_longitude }}) / 2) ^ 2
    ))
{%- endmacro %}


{#-
Fixes of a device from one instant (included) to another (excluded), for a lateral join: those
that say where it was (is_evidence), or those for which the condition is true.
With `offset 0` TimescaleDB skips chunks by times that are known only at run time; without it,
it skips none if the outer query orders the rows.
    (select * from position_history as known where known.imei = … and … offset 0)
-#}
{% macro fixes_between(imei, start, end, condition=none) -%}
    (
        select *
        from {{ ref('position_history') }} as known
        where
            known.imei = {{ imei }}
            and known.gps_time >= {{ start }}
            and known.gps_time < {{ end }}
            and {{ condition or is_evidence('known') }}
        offset 0
    )
{%- endmacro %}


{#-
Seconds of an interval that lie between two instants; 0 if there are none.
    greatest(extract(epoch from least(end_time, until) - greatest(start_time, since)), 0)
-#}
{% macro overlap_s(start_time, end_time, since, until) -%}
    greatest(
        extract(epoch from least({{ end_time }}, {{ until }}) - greatest({{ start_time }}, {{ since }})),
        0
    )
{%- endmacro %}
