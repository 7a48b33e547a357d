{#-
What the distance of a trip of the old system is in: mm, m or km; null if nobody can tell.

BUG-02: distance_m, the column before its migration 04, holds millimetres. distance_km, the
column after it, holds km, but metres in the rows written between FIX-M11 and FIX-M16. These
the migration could not tell; speed times duration can. A distance is believed where

    km <= 200 km/h x duration + 0.5     and     km <= 30 x average speed x duration + 0.5

(the vendor's own average, where it is between 1 and 200 km/h; metres are 1,000 times too many,
and 30 lies half way on the scale of ratios), or, where no duration is known, up to 1,000 km. The
first unit under which it is believed counts: km, else metres. What neither explains is unknown.
-#}
{% macro legacy_distance_unit() -%}
    case
            when distance_km is null and {{ is_believable_km('distance_m / 1000000') }} then 'mm'
            when {{ is_believable_km('distance_km') }} then 'km'
            when {{ is_believable_km('distance_km / 1000') }} then 'm'
        end
{%- endmacro %}


{% macro is_believable_km(km) -%}
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


{#- Kilometres, by that unit. -#}
{% macro legacy_distance_km() -%}
    case {{ legacy_distance_unit() }}
        when 'mm' then distance_m / 1000000
        when 'm' then distance_km / 1000
        when 'km' then distance_km
    end
{%- endmacro %}
