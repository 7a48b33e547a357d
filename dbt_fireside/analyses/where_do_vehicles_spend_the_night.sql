-- Question: Which vehicles spend nights away from their usual place?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     One row per vehicle: the number of unexpected nights among the last 28, and
--           the place of the newest one. A depot is never unexpected. A vehicle with
--           fewer than five known nights has no usual place, and its known_nights_count
--           is 0. The distance that counts as away is assumed.

with

nights as (

    select
        scope_value as vehicle_id,
        count(unexpected_overnight_count) as known_nights_count,
        coalesce(sum(unexpected_overnight_count), 0) as unexpected_nights_count,
        max(day) filter (where unexpected_overnight_count > 0) as last_unexpected_day
    from {{ ref('kpi_dispatch_daily') }}
    where
        scope = 'vehicle'
        and day > (
            select max(newest.day) - 28
            from {{ ref('kpi_dispatch_daily') }} as newest
        )
    group by scope_value

)

select
    nights.vehicle_id,
    metrics.city,
    nights.known_nights_count,
    nights.unexpected_nights_count,
    nights.last_unexpected_day,
    metrics.end_latitude as latitude,
    metrics.end_longitude as longitude
from nights
left join {{ ref('fact_daily_fleet_metrics') }} as metrics
    on
        nights.vehicle_id = metrics.vehicle_id
        and nights.last_unexpected_day = metrics.day
        and metrics.is_primary_device
order by nights.unexpected_nights_count desc, nights.vehicle_id asc
