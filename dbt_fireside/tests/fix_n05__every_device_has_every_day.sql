-- FIX-N05
-- Was:    if the first build came before any window of trips was complete, quiet
--         devices never got rows.
-- Holds:  every device of the fleet has a row on every day.

select
    vehicles.imei,
    dates.day
from {{ ref('dim_vehicles') }} as vehicles
cross join {{ ref('dim_dates') }} as dates
left join {{ ref('fact_daily_fleet_metrics') }} as metrics
    on vehicles.imei = metrics.imei and dates.day = metrics.day
where metrics.imei is null
