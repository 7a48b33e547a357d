-- Question: Which vehicles have not moved today, and for how long?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     One row per vehicle in service, the longest at rest first. Vehicles that
--           never reported are marked, because it is unknown whether they moved. A
--           distance below the rule moved_distance (assumed) counts as manoeuvring.

with

vehicle_days as (

    select
        used.scope_value as vehicle_id,
        used.day,
        used.moved_count > 0 as has_moved,
        used.never_reported_count > 0 as is_never_reported
    from {{ ref('kpi_fleet_utilisation_daily') }} as used
    where used.scope = 'vehicle'

),

rested as (

    select
        vehicle_id,
        max(day) as newest_day,
        max(day) filter (where has_moved) as last_moved_day,
        bool_and(is_never_reported) as is_never_reported
    from vehicle_days
    group by vehicle_id

)

select
    rested.vehicle_id,
    vehicles.city,
    vehicles.driver_name,
    case
        when rested.is_never_reported then 'never reported'
        when rested.last_moved_day = rested.newest_day then 'moved'
        else 'not moved'
    end as state,
    rested.last_moved_day,
    rested.newest_day - rested.last_moved_day as days_at_rest_count
from rested
inner join {{ ref('dim_vehicles') }} as vehicles
    on rested.vehicle_id = vehicles.vehicle_id and vehicles.is_primary_device
order by days_at_rest_count desc nulls first, rested.vehicle_id asc
