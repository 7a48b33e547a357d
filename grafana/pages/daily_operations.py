"""Daily Operations: how is today going, compared with the same weekday last week?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import history, kpi_trend, trend
from grafana.kit.panels import about, kpi_rows, kpi_tiles, rows
from grafana.kit.query import BY_VEHICLE, SCOPES, VEHICLES, select, within
from grafana.pages.noc_live import BEHAVIOUR, HEALTH, UTILISATION, idle_now, vehicle_map

COST, PRODUCTIVITY = "Cost and fuel", "Technician productivity"


def daily_operations() -> Dashboard:
    glance = kpi_tiles(
        "Today at a glance",
        about(
            "Today so far, for the fleet or for the chosen cities and cost centres.", UTILISATION
        ),
        select(
            ("label", "value", "unit", "decimals"), "fleet_today", SCOPES, order="label", limit=60
        ),
        "No data yet: the first build has not finished.",
    )
    weekday = rows(
        "Compared with the same weekday",
        about("Today and the same weekday last week, both up to the same hour.", UTILISATION),
        "label scope_value value unit weekday_before_value change_pct as_of docs_path",
        "fleet_today",
        SCOPES,
        order="label, scope_value",
        empty="No data yet: the first build has not finished.",
        hidden=["docs_path"],
    )
    not_moved = rows(
        "Not moved today",
        about(
            "Vehicles that have driven less today than the operating rule moved_distance.",
            UTILISATION,
        ),
        "vehicle_id city cost_centre driver_name has_reported distance_km odometer_km",
        "vehicle_days",
        "not has_moved",
        "not is_never_reported",
        within("day_start"),
        *VEHICLES,
        order="vehicle_id",
        empty="Every vehicle has moved, or there is no data for today yet.",
        time_from="now/d",
    )
    vehicles = rows(
        "Vehicles today",
        about("Activity of each vehicle today, longest distance first.", UTILISATION),
        "vehicle_id city driver_name trips_count distance_km driving_h idle_h utilisation_pct"
        " max_speed_kmh alarms_count first_movement_time last_movement_time",
        "vehicle_days",
        within("day_start"),
        *VEHICLES,
        order="distance_km desc nulls last, vehicle_id",
        empty="No data for today yet.",
        time_from="now/d",
    )
    leaderboard = rows(
        "Driving behaviour, worst first",
        about(
            "Vehicles by score over 30 days. Drivers are on the dashboard Driver behaviour.",
            BEHAVIOUR,
        ),
        "worst_rank scope_value city score speeding_min harsh_driving_alarms_per_100km distance_km",
        "driver_behaviour_ranking",
        "scope = 'vehicle'",
        *VEHICLES[:2],
        order="worst_rank, scope_value",
        empty="No score yet: it needs one complete day.",
        limit=50,
    )
    alarms = trend(
        "Alarms by kind",
        about("Alarms per day, by kind.", HEALTH),
        select(
            ("day_start as time", "alarm_name as metric", "alarms_count as value"),
            "alarm_days",
            SCOPES,
            within("day_start"),
            order="day_start, alarm_name",
        ),
        "none",
        "No alarm in this time range.",
        decimals=0,
        bars=True,
    )
    heat = history(
        "Utilisation by vehicle and day",
        about(
            "Driving time as a share of the shift; at most 5,000 values, the oldest first.",
            UTILISATION,
        ),
        select(
            ("day_start as time", "vehicle_id as metric", "utilisation_pct as value"),
            "vehicle_days",
            within("day_start"),
            *VEHICLES,
            order="day_start, vehicle_id",
            limit=5000,
        ),
        "percent",
        "No data for this time range. The build runs every 5 minutes.",
    )
    jobs = rows(
        "Open jobs",
        about("Jobs that are not closed yet, longest waiting first.", PRODUCTIVITY),
        "job_id status vehicle_id technician city service_type waiting_min sla_target_min"
        " created_time dispatched_time",
        "jobs_open",
        *VEHICLES[:2],
        order="waiting_min desc nulls last",
        empty="No open job. Import jobs with orchestrate.py import-jobs FILE.csv.",
    )
    distance = kpi_trend("Distance", "Distance driven.", UTILISATION, "fleet.distance", "suffix:km")
    return board(
        "daily-operations",
        "Daily Operations",
        "How is today going, compared with the same weekday last week?",
        BY_VEHICLE,
        [
            Shelf(5, [glance]),
            Shelf(9, [weekday, idle_now()]),
            Shelf(
                12,
                [
                    vehicle_map(
                        "Active vehicles",
                        "latitude is not null",
                        "state in ('driving', 'idling')",
                        *VEHICLES,
                    ),
                    not_moved,
                ],
            ),
            Shelf(11, [vehicles]),
            Shelf(
                9,
                [
                    distance,
                    alarms,
                ],
            ),
            Shelf(10, [leaderboard, heat], (10, 14)),
            Shelf(
                9,
                [
                    kpi_rows(
                        "Cost of idling",
                        about("Fuel and money spent on idling, per day and this month.", COST),
                        "kpi_id in ('fuel.idle_cost_month', 'fuel.idle_cost', 'fuel.idle_volume')",
                    )
                ],
            ),
            Shelf(
                9,
                [
                    jobs,
                    kpi_rows(
                        "Field service",
                        about("KPIs from the job system, or why they have no value.", PRODUCTIVITY),
                        "kpi_id like 'field_service.%'",
                    ),
                ],
                folded="Jobs compared with their targets",
            ),
        ],
        time_from="now-30d/d",
        refresh="1m",
    )
