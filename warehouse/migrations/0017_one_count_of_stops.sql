-- Service stops per vehicle are one KPI: technician.service_stops_per_vehicle.
alter table if exists dwh_gold.kpi_fleet_utilisation_daily drop column if exists stops_per_vehicle;
