-- Question: Which vehicles can be at a customer's soonest?
-- Tag:      DASHBOARD
-- Status:   Needs data: vehicles with a fix younger than the rule fresh_fix_age
-- Read:     The five nearest vehicles in a straight line. Check fix_age_s before
--           calling. The position in the query is the centre of Nairobi: replace it
--           with the customer's. Only the job system knows whether the technician is
--           free.

select
    vehicle_id,
    driver_name,
    city,
    distance_km,
    fix_age_s,
    speed_kmh,
    is_ignition_on
from {{ function('nearest_vehicles') }}(-1.2921, 36.8219, 5)
