{{ config(
    incremental_strategy='replace_changed_days',
    reads_changes_of=['fact_daily_fleet_metrics', 'fact_zone_visits'],
    recomputed_with=['dim_zones'],
    indexes=[{'columns': ['scope', 'scope_value', 'day']}, {'columns': ['scope', 'day']}],
) }}

with

visits as (

    -- Cities are left out, because a vehicle works in a city and does not visit it.
    select
        metrics.day,
        metrics.day_start,
        metrics.city,
        metrics.cost_centre,
        metrics.vehicle_id,
        visit.zone_id,
        coalesce(zones.kind = 'depot', false) as is_depot,
        visit.zone_id = 'outside' as is_outside,
        visit.dwell_s,
        visit.is_continued,
        visit.has_left
    from {{ ref('fact_daily_fleet_metrics') }} as metrics
    inner join {{ ref('fact_zone_visits') }} as visit
        on metrics.imei = visit.imei and metrics.day = visit.day
    left join {{ ref('dim_zones') }} as zones
        on visit.zone_id = zones.zone_id
    where
        metrics.is_primary_device
        and metrics.is_in_service
        and zones.kind is distinct from 'city'
        and {{ has_changed('metrics.day') }}

),

activity as (

    select
        ---------- ids
        visits.day,
        visits.day_start,
        cut.scope,
        cut.scope_value,

        ---------- measures
        (count(*) filter (
            where not visits.is_outside and not visits.is_continued
        ))::integer as zone_visits_count,
        (coalesce(sum(visits.dwell_s) filter (
            where not visits.is_outside
        ), 0) / 3600.0)::numeric(12, 3) as dwell_h,
        (coalesce(sum(visits.dwell_s) filter (
            where visits.is_outside
        ), 0) / 3600.0)::numeric(12, 3) as outside_h,
        (count(*) filter (
            where visits.is_depot and visits.has_left
        ))::integer as depot_departures_count,
        (count(*) filter (
            where visits.is_depot and not visits.is_continued
        ))::integer as depot_returns_count
    from visits
    {{ scopes({
        'city': 'visits.city',
        'cost_centre': 'visits.cost_centre',
        'vehicle': 'visits.vehicle_id',
        'zone': 'visits.zone_id',
    }) }}
    group by visits.day, visits.day_start, cut.scope, cut.scope_value

)

select * from activity
