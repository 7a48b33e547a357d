{#-
On each day the figures of a mart for the whole fleet are those of its fact, so no join of the mart
multiplies or loses rows. `measures` has an expression over columns of the mart for each expression
over rows of the fact; `counted` says which rows of the fact count. With `of_vehicles`, they are
those of the days on which the device represents a vehicle in service that reported.
-#}
{% test reconciled(model, fact, measures, counted='true', day='day', of_vehicles=false) %}

with

expected as (

    select
        {% for expression in measures.values() -%}
        ({{ expression }})::numeric as expected_{{ loop.index }},
        {% endfor -%}
        {{ day }} as day
    from {{ fact }} as event
    where
        {{ counted }}
        {%- if of_vehicles %}
        and exists (
            select from {{ ref('fact_daily_fleet_metrics') }} as metrics
            where
                metrics.imei = event.imei
                and metrics.day = event.day
                and metrics.is_primary_device
                and metrics.is_in_service
                and metrics.has_reported
        )
        {%- endif %}
    group by {{ day }}

),

found as (

    select
        {% for expression in measures -%}
        ({{ expression }})::numeric as found_{{ loop.index }},
        {% endfor -%}
        day
    from {{ model }}
    where scope = 'fleet'

)

select *
from found
full join expected using (day)
where
    {% for expression in measures -%}
    abs(coalesce(found_{{ loop.index }}, 0) - coalesce(expected_{{ loop.index }}, 0)) > 0.01
    {{ 'or' if not loop.last }}
    {% endfor %}

{% endtest %}
