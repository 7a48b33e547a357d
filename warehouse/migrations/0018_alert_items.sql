-- alert_items has a row per alert and vehicle, which the alert rules read instead of these counts.
drop view if exists dwh_gold.alert_vehicles;
drop view if exists dwh_gold.alert_events;
