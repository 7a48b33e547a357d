{{ config(materialized='view') }}

-- This view has no CTE, so that PostgreSQL merges it into the reader's query and can
-- use an index for the order and limit of the query.
select
    ---------- ids
    visit.day,
    visit.day_start,
    visit.zone_id,
    vehicles.vehicle_id,
    visit.entry_time,
    visit.exit_time,

    ---------- groups
    coalesce(zones.name, visit.zone_id) as zone_name,
    zones.kind as zone_kind,
    coalesce(periods.city, 'Unassigned') as city,
    coalesce(periods.cost_centre, 'Unassigned') as cost_centre,
    vehicles.driver_name,

    ---------- measures
    visit.dwell_s,
    visit.is_continued,
    visit.has_left
from {{ ref('fact_zone_visits') }} as visit
inner join {{ ref('dim_vehicles') }} as vehicles
    on visit.imei = vehicles.imei
-- With the limit, PostgreSQL reads the visits first, by their index.
inner join lateral ( -- noqa: ST05
    select
        period.city,
        period.cost_centre
    from {{ ref('dim_vehicle_periods') }} as period
    where
        vehicles.vehicle_id = period.vehicle_id
        and visit.day >= period.valid_from
        and visit.day < period.valid_to
    order by period.valid_from
    limit 1
) as periods on true
left join {{ ref('dim_zones') }} as zones
    on visit.zone_id = zones.zone_id
where vehicles.is_primary_device
