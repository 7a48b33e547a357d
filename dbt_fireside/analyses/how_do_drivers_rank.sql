-- Question: Who drives best, and who needs coaching?
-- Tag:      DASHBOARD
-- Status:   Needs data: driver names in the vendor's platform
-- Read:     The score is that of all these days together, for drivers with three days
--           or more. A driver without a name is shown as the vehicle. The weights of
--           the score are assumed, so a rank is a reason to look, not a verdict.
--           Period: the last 28 days.

with

scored as (

    select
        scope,
        scope_value,
        count(score) as days_count,
        (100 - least(
            100 * sum(penalty_points)
            / nullif(sum(distance_km) filter (where penalty_points is not null), 0),
            100
        ))::numeric(5, 1) as score,
        sum(distance_km)::numeric(12, 1) as distance_km,
        sum(speeding_min)::numeric(9, 1) as speeding_min,
        sum(after_hours_km)::numeric(9, 1) as after_hours_km
    from {{ ref('kpi_driver_behaviour_daily') }}
    where
        scope in ('driver', 'vehicle')
        and day > (
            select max(newest.day) - 28
            from {{ ref('kpi_driver_behaviour_daily') }} as newest
        )
    group by scope, scope_value
    having count(score) >= 3

)

select
    scope,
    rank() over (partition by scope order by score desc) as place,
    scope_value as driver_or_vehicle,
    days_count,
    score,
    distance_km,
    speeding_min,
    after_hours_km
from scored
order by scope asc, place asc, driver_or_vehicle asc
