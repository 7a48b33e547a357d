-- Question: When do vehicles leave the depot, and when are they back?
-- Tag:      DASHBOARD
-- Status:   Ready
-- Read:     One row per vehicle, depot and day. Hours in the depot during the day are
--           hours without customers. The shape of a depot is assumed unless dim_zones
--           says otherwise. Period: the last 7 days.

select
    visits.day,
    zones.name as depot,
    vehicles.vehicle_id,
    min(visits.exit_time at time zone '{{ var("fleet_timezone") }}') filter (
        where visits.has_left
    ) as first_departure_time,
    max(visits.entry_time at time zone '{{ var("fleet_timezone") }}') filter (
        where not visits.is_continued
    ) as last_return_time,
    count(*) filter (where visits.has_left) as departures_count,
    (sum(visits.dwell_s) / 3600.0)::numeric(6, 2) as dwell_h
from {{ ref('fact_zone_visits') }} as visits
inner join {{ ref('dim_zones') }} as zones
    on visits.zone_id = zones.zone_id
inner join {{ ref('dim_vehicles') }} as vehicles
    on visits.imei = vehicles.imei
where
    zones.kind = 'depot'
    and vehicles.is_primary_device
    and visits.day > (
        select max(newest.day) - 7
        from {{ ref('fact_zone_visits') }} as newest
    )
group by visits.day, zones.name, vehicles.vehicle_id
order by visits.day desc, zones.name asc, vehicles.vehicle_id asc
