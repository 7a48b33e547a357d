-- Holds: the fleet value of a KPI is the sum of its cities, or lies between them, as
--        any weighted mean does. A KPI that is null for a city or has the value 0 there
--        is checked less strictly.

with

cities as (

    select
        kpi_id,
        day,
        sum(value) as total,
        min(value) as smallest,
        max(value) as largest,
        count(*) as cities_count,
        count(value) = count(*) and min(value) > 0 as is_comparable
    from {{ ref('kpi_values') }}
    where scope = 'city'
    group by kpi_id, day

)

select
    fleet.kpi_id,
    fleet.day,
    fleet.value,
    cities.total,
    cities.smallest,
    cities.largest
from {{ ref('kpi_values') }} as fleet
inner join {{ ref('kpi_register') }} as register
    on fleet.kpi_id = register.kpi_id
inner join cities
    on fleet.kpi_id = cities.kpi_id and fleet.day = cities.day
where
    fleet.scope = 'fleet'
    and case register.rollup
        -- Each city is rounded separately, by at most 0.01.
        when 'sum' then abs(fleet.value - cities.total) > 0.01 * cities.cities_count
        when 'mean'
            then
                cities.is_comparable
                and fleet.value
                not between cities.smallest - 0.01 and cities.largest + 0.01
        when 'min' then fleet.value is distinct from cities.smallest
        when 'max' then fleet.value < cities.largest
    end
