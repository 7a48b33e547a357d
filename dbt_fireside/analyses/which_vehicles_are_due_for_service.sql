-- Question: Which vehicles are due for service, and when?
-- Tag:      ALERT
-- Status:   Ready
-- Read:     The soonest is first, at the mean daily distance of the last four weeks.
--           While no service dates are recorded, a service is due at each multiple of
--           the interval, which is assumed per class. Without an odometer there is no
--           forecast.

with

newest as (

    select distinct on (scope_value)
        scope_value as vehicle_id,
        day,
        odometer_km,
        km_to_service,
        days_to_service
    from {{ ref('kpi_vehicle_health_daily') }}
    where
        scope = 'vehicle'
        and odometer_km is not null
    order by scope_value asc, day desc

)

select
    newest.vehicle_id,
    vehicles.city,
    vehicles.vehicle_class,
    newest.odometer_km,
    newest.km_to_service,
    newest.days_to_service,
    newest.day + newest.days_to_service::integer as due_day
from newest
inner join {{ ref('dim_vehicles') }} as vehicles
    on newest.vehicle_id = vehicles.vehicle_id and vehicles.is_primary_device
order by newest.days_to_service asc nulls last, newest.vehicle_id asc
