{#-
Unit of the distance of a trip from the old system: mm, m or km. Null if no unit fits.

BUG-02: distance_m, the column before the old system's migration 04, holds millimetres.
distance_km, the column after it, holds km, but rows that were written between FIX-M11 and
FIX-M16 hold metres. No field of these rows names the unit. Only speed times duration shows it.
A distance is possible if

    km <= 200 km/h x duration + 0.5     and     km <= 30 x average speed x duration + 0.5

The second condition uses the vendor's average speed if that is between 1 and 200 km/h. Metres
read as km are 1,000 times too large, and 30 is about halfway between 1 and 1,000 on a
logarithmic scale. If the duration is unknown, up to 1,000 km are possible. km is tried first,
then metres.

    case when distance_km is null and … then 'mm' when … then 'km' when … then 'm' end
-#}
{% macro legacy_distance_unit() -%}
    case
            when distance_km is null and {{ is_possible_km('distance_m / 1000000') }} then 'mm'
            when {{ is_possible_km('distance_km') }} then 'km'
            when {{ is_possible_km('distance_km / 1000') }} then 'm'
        end
{%- endmacro %}


{#- True if a trip can have this distance. is_possible_km('distance_km')  ->  case when … end -#}
{% macro is_possible_km(km) -%}
    {%- set hours -%}
    (coalesce(nullif(driving_time_s, 0), extract(epoch from end_time - start_time)) / 3600)
    {%- endset -%}
    case
                when {{ hours }} is null or {{ hours }} < 0 then {{ km }} <= 1000
                else
                    {{ km }} <= 200 * {{ hours }} + 0.5
                    and (
                        {{ km }} <= 30 * avg_speed_kmh * {{ hours }} + 0.5
                        or (avg_speed_kmh between 1 and 200) is not true
                    )
            end
{%- endmacro %}


{#- Distance in km: case <unit> when 'mm' then distance_m / 1000000 when … end -#}
{% macro legacy_distance_km() -%}
    case {{ legacy_distance_unit() }}
        when 'mm' then distance_m / 1000000
        when 'm' then distance_km / 1000
        when 'km' then distance_km
    end
{%- endmacro %}
