-- Holds: a ratio is its numerator divided by its denominator, on a day (for a weekly
--        KPI from Monday to the day) and in a month; and the parts of the fleet are the
--        sums of the parts of its cities.

with

parts as (

    select
        known.*,
        register.cadence,
        date_trunc('month', known.day)::date as month,
        case
            when register.cadence = 'weekly' then date_trunc('week', known.day)::date
            else known.day
        end as from_day
    from {{ ref('kpi_values') }} as known
    inner join {{ ref('kpi_register') }} as register
        on
            known.kpi_id = register.kpi_id
            and register.numerator is not null
    where known.scope in ('fleet', 'city')

),

days as (

    select
        kpi_id,
        day,
        scope_value,
        value,
        sum(numerator) filter (where denominator is not null) over so_far as numerator,
        sum(denominator) filter (where numerator is not null) over so_far as denominator
    from parts
    window so_far as (
        partition by kpi_id, scope, scope_value, from_day
        order by day
    )

),

cities as (

    select
        fleet.kpi_id,
        fleet.day,
        'all cities' as scope_value,
        fleet.numerator / nullif(fleet.denominator, 0) as value,
        sum(city.numerator) as numerator,
        sum(city.denominator) as denominator
    from parts as fleet
    inner join parts as city
        on fleet.kpi_id = city.kpi_id and fleet.day = city.day and city.scope = 'city'
    where
        fleet.scope = 'fleet'
        -- The score of a city is at least 0, however many alarms it has.
        and fleet.kpi_id != 'driver.score'
    group by fleet.kpi_id, fleet.day, fleet.numerator, fleet.denominator
    having count(city.numerator) = count(city.denominator)

),

months as (

    select
        parts.kpi_id,
        parts.month as day,
        parts.scope_value,
        monthly.value,
        sum(parts.numerator) filter (where parts.denominator is not null) as numerator,
        sum(parts.denominator) filter (where parts.numerator is not null) as denominator
    from parts
    inner join {{ ref('kpi_monthly') }} as monthly
        on
            parts.kpi_id = monthly.kpi_id
            and parts.month = monthly.month
            and parts.scope = monthly.scope
            and parts.scope_value = monthly.scope_value
    where parts.day_start + interval '1 day' <= now()
    group by parts.kpi_id, parts.month, parts.scope, parts.scope_value, monthly.value

),

compared as (

    select * from days
    union all
    select * from cities
    union all
    select * from months

)

select *
from compared
where
    value is not null
    -- Values and parts are rounded: a numerator by at most 0.1, and a denominator by
    -- 0.001 h, which changes the ratio in proportion.
    and coalesce(
        abs(value - numerator / nullif(denominator, 0))
        > 0.02 + (0.2 + 0.001 * abs(value)) / nullif(denominator, 0),
        true
    )
