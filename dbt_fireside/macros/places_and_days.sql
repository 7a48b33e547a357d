{#-
A circle around a point (longitude, latitude) as a polygon of 64 corners in degrees, so
that every zone is one core type.
-#}
{% macro circle_area(center, radius_km) -%}
    polygon(64, circle({{ center }}, {{ degrees_of(radius_km) }}))
{%- endmacro %}


{#-
A distance in degrees. One is taken as 111.2 km both ways: right within 2 % up to 10 degrees
from the equator, where this fleet drives.
-#}
{% macro degrees_of(km) -%}
    {{ km }}::double precision / 111.2
{%- endmacro %}


{#- The city of a place, null outside all zones; where zones overlap the first by name. -#}
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


{#- Whether a place lies in a depot. -#}
{% macro is_at_depot(longitude, latitude) -%}
    exists (
        select from {{ ref('dim_zones') }} as zone
        where
            zone.kind = 'depot'
            and zone.area @> point({{ longitude }}, {{ latitude }})
    )
{%- endmacro %}


{#- The EAT day of an instant. -#}
{% macro day_of(instant) -%}
    (({{ instant }}) at time zone '{{ var("fleet_timezone") }}')::date
{%- endmacro %}


{#- The instant at which an EAT day begins. -#}
{% macro start_of(day) -%}
    (({{ day }})::timestamp at time zone '{{ var("fleet_timezone") }}')
{%- endmacro %}


{#- The instant at which an hour of the fleet's clock begins. -#}
{% macro hour_of(instant) -%}
    date_trunc('hour', {{ instant }}, '{{ var("fleet_timezone") }}')
{%- endmacro %}


{#- Great-circle distance of two places in degrees, km. -#}
{% macro great_circle_km(latitude, longitude, other_latitude, other_longitude) -%}
    2 * 6371.0088 * asin(sqrt(
        sin(radians({{ latitude }} - {{ other_latitude }}) / 2) ^ 2
        + cos(radians({{ latitude }})) * cos(radians({{ other_latitude }}))
        * sin(radians({{ longitude }} - {{ other_longitude }}) / 2) ^ 2
    ))
{%- endmacro %}


{#-
The fixes of a device from one instant to another, for a lateral join. Fenced off, because
TimescaleDB leaves chunks out for times it knows late, but not where rows are wanted in order.
-#}
{% macro fixes_between(imei, start, end) -%}
    (
        select *
        from {{ ref('position_history') }} as known
        where
            known.imei = {{ imei }}
            and known.gps_time >= {{ start }}
            and known.gps_time < {{ end }}
        offset 0
    )
{%- endmacro %}
