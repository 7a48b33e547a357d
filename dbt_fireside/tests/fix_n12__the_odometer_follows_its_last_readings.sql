-- FIX-N12
-- Was:    an odometer went on from its old level after it was set, reset or replaced.
-- Holds:  on the newest day, each odometer of a mart is a reading that the vendor sent
--         for one of the devices of the vehicle within the week before.

select
    health.scope_value as vehicle_id,
    health.odometer_km
from {{ ref('kpi_vehicle_health_daily') }} as health
where
    health.scope = 'vehicle'
    and health.odometer_km is not null
    and health.day = (
        select max(newest.day) from {{ ref('kpi_vehicle_health_daily') }} as newest
    )
    and not exists (
        select from {{ ref('fact_daily_fleet_metrics') }} as metrics
        where
            metrics.vehicle_id = health.scope_value
            and metrics.day = health.day
            and metrics.odometer_km = health.odometer_km
    )
