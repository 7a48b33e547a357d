{{ config(materialized='view') }}

with

vehicles as materialized (

    -- Materialized, because otherwise each count would compute the state of every
    -- vehicle again.
    select
        city,
        cost_centre,
        state,
        is_too_fast,
        is_outside_city,
        fix_age_s
    from {{ ref('vehicle_status_now') }}
    where is_primary_device

),

counted as (

    select
        ---------- ids
        cut.scope,
        cut.scope_value,

        ---------- measures
        count(*)::integer as vehicles_count,
        {% for state in [
            'driving', 'idling', 'parked', 'no_signal', 'never_reported'
        ] -%}
        (count(*) filter (where vehicles.state = '{{ state }}'))::integer
            as {{ state }}_count,
        {% endfor -%}
        (count(*) filter (where vehicles.is_too_fast))::integer as too_fast_count,
        (count(*) filter (where vehicles.is_outside_city))::integer
            as outside_city_count,
        min(vehicles.fix_age_s)::integer as newest_fix_age_s
    from vehicles
    {{ scopes({'city': 'vehicles.city', 'cost_centre': 'vehicles.cost_centre'}) }}
    group by cut.scope, cut.scope_value

)

select * from counted
