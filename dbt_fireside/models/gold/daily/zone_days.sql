{{ config(materialized='view') }}

with

zone_days as (

    select
        ---------- ids
        activity.day,
        activity.day_start,
        zones.zone_id,

        ---------- the zone
        zones.name as zone_name,
        zones.kind as zone_kind,
        coalesce(zones.city, 'Unassigned') as city,
        zones.is_assumed,
        (center(box(zones.area)))[1]::numeric(9, 6) as latitude,
        (center(box(zones.area)))[0]::numeric(9, 6) as longitude,

        ---------- measures
        activity.zone_visits_count,
        activity.dwell_h,
        activity.depot_departures_count,
        activity.depot_returns_count
    from {{ ref('kpi_zone_activity_daily') }} as activity
    inner join {{ ref('dim_zones') }} as zones
        on activity.scope_value = zones.zone_id
    where activity.scope = 'zone'

)

select * from zone_days
