{#-
Driving score from 0 to 100 of any number of days: 100 minus the penalty points of the driving
alarms per 100 km. Null if the points are unknown or the distance is too short.
    case when points is not null and km >= (… score_min_distance …) then 100 - least(…, 100) end
-#}
{% macro driving_score(penalty_points, distance_km) -%}
    case
        when
            {{ penalty_points }} is not null
            and {{ distance_km }} >= {{ rule('score_min_distance') }}
            then 100 - least(100 * {{ penalty_points }} / nullif({{ distance_km }}, 0), 100)
    end
{%- endmacro %}
