-- Generates gold for %(vehicles)s vehicles and %(days)s days: the tables that dashboards read, in
-- the sizes that builds would give them. The last day is today.

set timezone = 'Africa/Nairobi';
-- The inserts are ordered by day, because builds write one day after the other.
set work_mem = '256MB';

insert into dwh_gold.dbt_run_history (
    run_id, command, started_at, finished_at, node, resource_type, name, status, duration_s
)
select
    'r' || run, 'build', now() - run * interval '5 minutes', now() - run * interval '5 minutes',
    'n' || node, case when node %% 2 = 0 then 'model' else 'test' end, 'n' || node,
    case when node %% 2 = 0 then 'success' else 'pass' end, random()
from generate_series(0, 288 * 7) as run, generate_series(1, 200) as node;

create temp table vehicles as
select
    '86' || lpad(n::text, 13, '0') as imei,
    'V' || n as vehicle_id,
    'City ' || n %% 3 as city,
    'Team ' || n %% 10 as cost_centre,
    n
from generate_series(0, %(vehicles)s - 1) as n;

create temp table days as
select day::date as day, day as day_start, day + interval '1 day' as day_end
from generate_series(
    current_date - (%(days)s - 1), current_date::timestamptz, interval '1 day'
) as day;

insert into dwh_gold.dim_dates (day, day_start, day_end, is_over)
select day, day_start, day_end, day_end <= now() from days;

insert into dwh_gold.shift_trips (
    imei, day, first_start_time, return_time, departure_time, shift_start_time
)
select
    imei, day, day_start + interval '8 hours', day_start + interval '17 hours',
    day_start + interval '8 hours' + n %% 30 * interval '1 minute',
    day_start + interval '8 hours'
from vehicles, days;

insert into tracksolid.devices (imei, vehicle_id, vehicle_class)
select imei, vehicle_id, 'van' from vehicles;
insert into dwh_gold.dim_vehicles (
    imei, vehicle_id, is_primary_device, is_in_service, device_rank, city, cost_centre, vehicle_class,
    assigned_city, driver_name, vehicle_version
)
select imei, vehicle_id, true, true, 1, city, cost_centre, 'van', 'Nairobi', 'Driver ' || n, 'v'
from vehicles;

insert into tracksolid.newest_fixes (
    imei, gps_time, source, source_rank, latitude, longitude, speed_kmh, heading_deg,
    is_ignition_on, fetched_at, record_id, load_id
)
select
    imei, now() - (case when n %% 20 = 0 then 30000 else 60 end) * interval '1 second', 'poll', 3,
    -1.2 - n %% 100 * 0.001, 36.8, n %% 4 * 25, 90, n %% 7 = 0, now(), 'r', 'l'
from vehicles;

insert into tracksolid.position_history (
    imei, gps_time, source, source_rank, latitude, longitude, speed_kmh, fetched_at, record_id,
    load_id
)
select
    imei, current_date + minute * interval '2 minutes', 'poll', 3, -1.2, 36.8, 40, now(), 'r', 'l'
from generate_series(1, 200) as minute, vehicles;

insert into dwh_gold.fact_daily_fleet_metrics (
    imei, day, day_start, vehicle_id, is_primary_device, city, cost_centre, is_in_service,
    has_reported, is_never_reported, trips_count, distance_km, driving_time_s, idle_time_s,
    utilisation_pct, alarms_count, fixes_count, data_as_of
)
select
    imei, day, day_start, vehicle_id, true, city, cost_centre, true, true, false, 6,
    random() * 100, 9000, 1800, random() * 100, 1, 500, day_end
from days, vehicles
order by day;

insert into dwh_gold.fact_trips (
    imei, start_time, end_time, day, day_start, vehicle_id, is_primary_device, city, cost_centre,
    is_from_depot, is_weekend, is_after_hours, distance_km, driving_time_s, source, data_as_of
)
select
    imei, day_start + hour * interval '7 hours', day_start + hour * interval '7 hours 20 minutes',
    day, day_start, vehicle_id, true, city, cost_centre, false, false, hour = 3, 9, 1200, 'poll',
    day_end
from days, vehicles, generate_series(1, 3) as hour
order by day;

insert into dwh_gold.fact_stops (
    imei, start_time, end_time, day, day_start, vehicle_id, is_primary_device, city, cost_centre,
    kind, duration_s, is_at_depot, is_service_stop, latitude, longitude, data_as_of
)
select
    imei, day_start + hour * interval '6 hours', day_start + hour * interval '6 hours 20 minutes',
    day, day_start, vehicle_id, true, city, cost_centre, 'parked', 1200, false, true, -1.2, 36.8,
    day_end
from days, vehicles, generate_series(1, 2) as hour
order by day;

insert into dwh_gold.vehicle_states (
    imei, start_time, end_time, vehicle_id, is_primary_device, state, duration_s, known_until
)
select
    imei, day_start + hour * interval '6 hours',
    case when day_end <= now() or hour < 3 then day_start + (hour + 1) * interval '6 hours' end,
    vehicle_id, true, (array['parked', 'driving', 'idling', 'driving'])[hour + 1], 21600,
    day_start + (hour + 1) * interval '6 hours'
from days, vehicles, generate_series(0, 3) as hour;

insert into dwh_gold.fact_alarms (
    imei, alarm_type, alarm_time, day, day_start, vehicle_id, is_primary_device, city,
    cost_centre, alarm_name, alarm_class, severity, source, data_as_of
)
select
    imei, '1', day_start + n %% 86400 * interval '1 second', day, day_start, vehicle_id, true,
    city, cost_centre, 'Alarm ' || n %% 12,
    (array['power', 'tamper', 'speeding', 'harsh_driving', 'device'])[n %% 5 + 1],
    (array['low', 'medium', 'high'])[n %% 3 + 1], 'poll', day_end
from days, vehicles
where n %% 3 = extract(doy from day)::integer %% 3
order by day;

insert into dwh_gold.fact_zone_visits (
    imei, zone_id, entry_time, exit_time, day, day_start, dwell_s, is_continued, has_left
)
select
    imei, 'depot-nairobi', day_start + hour * interval '8 hours',
    day_start + hour * interval '8 hours 30 minutes', day, day_start, 1800, false, true
from days, vehicles, generate_series(1, 2) as hour
order by day;

insert into dwh_gold.kpi_zone_activity_daily (
    day, day_start, scope, scope_value, zone_visits_count, dwell_h, outside_h,
    depot_departures_count, depot_returns_count
)
select day, day_start, 'vehicle', vehicle_id, 1, 1, 1, 1, 1 from days, vehicles
union all
select day, day_start, 'zone', zone_id, 1, 1, 1, 1, 1 from days, dwh_gold.dim_zones
where kind != 'city';

insert into dwh_gold.kpi_vehicle_health_daily (
    day, day_start, scope, scope_value, odometer_km, km_to_service, days_to_service,
    min_battery_pct, low_batteries_count, fault_codes_count, alarms_count, power_alarms_count,
    odometers_count
)
select
    day, day_start, 'vehicle', vehicle_id, 10000 + n, n %% 5000, n %% 100, 80, (n %% 50 = 0)::int,
    (n %% 90 = 0)::int, 1, 0, 1
from days, vehicles
order by day;

insert into dwh_gold.kpi_values (kpi_id, day, day_start, scope, scope_value, value, band)
select kpi_id, day, day_start, scope, scope_value, random() * 100, null
from dwh_gold.kpi_register, days, (
    values ('fleet', 'Fleet')
    union all
    select distinct 'city', city from vehicles
    union all
    select distinct 'cost_centre', cost_centre from vehicles
) as places (scope, scope_value);

insert into dwh_gold.alarm_days (
    day, day_start, scope, scope_value, alarm_name, alarm_class, severity, alarms_count
)
select day, day_start, scope, scope_value, 'Alarm ' || kind, 'device', 'low', 9
from days, generate_series(0, 11) as kind, (
    values ('fleet', 'Fleet')
    union all
    select distinct 'city', city from vehicles
    union all
    select distinct 'cost_centre', cost_centre from vehicles
) as places (scope, scope_value);

insert into dwh_gold.driver_behaviour_ranking (
    scope, scope_value, city, cost_centre, worst_rank, days_count, distance_km, score
)
select 'vehicle', vehicle_id, city, cost_centre, n + 1, 30, 900, n %% 100 from vehicles
union all
select 'driver', 'Driver ' || n, city, cost_centre, n + 1, 30, 900, n %% 100 from vehicles;

insert into dwh_gold.fleet_today (kpi_id, scope, scope_value, day, label, value)
select kpi_id, 'fleet', 'Fleet', current_date, label, 1 from dwh_gold.kpi_register limit 6;

insert into dwh_gold.api_calls_hourly (
    hour_start, endpoint, calls_count, failed_calls_count, loads_count, records_count,
    missing_devices_count, last_success_time
)
select hour, 'endpoint_' || n, 60, 1, 60, 6000, 3, hour
from generate_series(
    current_date - (%(days)s - 1), current_date::timestamptz, interval '1 hour'
) as hour, generate_series(1, 15) as n;

insert into tracksolid.ingestion_log (
    call_id, attempt, endpoint, method, start_time, is_success, records_count, load_id
)
select
    'c' || minute, 1, 'location_list', 'jimi.user.device.location.list',
    now() - minute * interval '1 minute', true, 1000, 'l'
from generate_series(0, 1440 * %(days)s) as minute;
