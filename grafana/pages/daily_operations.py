"""Daily Operations: how does today go, against the same weekday?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import history, kpi_trend, trend
from grafana.kit.links import TO_VEHICLE
from grafana.kit.panels import about, kpi_rows, kpi_tiles, rows
from grafana.kit.query import BY_VEHICLE, SCOPES, VEHICLES, select, within
from grafana.pages.noc_live import BEHAVIOUR, HEALTH, UTILISATION, idle_now, vehicle_map

COST, PRODUCTIVITY = "Cost and fuel", "Technician productivity"


def daily() -> Dashboard:
    glance = kpi_tiles(
        "Today at a glance",
        about("The day so far, of the fleet or the places that are chosen.", UTILISATION),
        select(
            ("label", "value", "unit", "decimals"), "fleet_today", SCOPES, order="label", limit=60
        ),
        "No day is built yet: run the first build.",
    )
    weekday = rows(
        "Against the same weekday",
        about("Today beside the same weekday a week before, up to the same hour.", UTILISATION),
        "label scope_value value unit weekday_before_value change_pct as_of",
        "fleet_today",
        SCOPES,
        order="label, scope_value",
        empty="No day is built yet: run the first build.",
    )
    not_moved = rows(
        "Not moved today",
        about("Vehicles that have driven less than moved_distance today.", UTILISATION),
        "vehicle_id city cost_centre driver_name has_reported distance_km odometer_km",
        "vehicle_days",
        "not has_moved",
        "not is_never_reported",
        within("day_start"),
        *VEHICLES,
        order="vehicle_id",
        empty="Every vehicle has moved, or today is not built yet.",
        links={"vehicle_id": TO_VEHICLE},
        time_from="now/d",
    )
    vehicles = rows(
        "Vehicles today",
        about("What each vehicle has done today, the furthest first.", UTILISATION),
        "vehicle_id city driver_name trips_count distance_km driving_h idle_h utilisation_pct"
        " max_speed_kmh alarms_count first_movement_time last_movement_time",
        "vehicle_days",
        within("day_start"),
        *VEHICLES,
        order="distance_km desc nulls last, vehicle_id",
        empty="Today is not built yet.",
        links={"vehicle_id": TO_VEHICLE},
        time_from="now/d",
    )
    leaderboard = rows(
        "Behaviour, worst first",
        about("Vehicles over 30 days, by score; drivers have a dashboard.", BEHAVIOUR),
        "worst_rank scope_value city score speeding_min harsh_braking_per_100km distance_km",
        "driver_behaviour_ranking",
        "scope = 'vehicle'",
        *VEHICLES[:2],
        order="worst_rank, scope_value",
        empty="No score yet: it needs a day that is over.",
        limit=50,
    )
    alarms = trend(
        "Alarms by kind",
        about("How often each kind of alarm was raised.", HEALTH),
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
        about("Driving time as a share of the shift; the first vehicles by name.", UTILISATION),
        select(
            ("day_start as time", "vehicle_id as metric", "utilisation_pct as value"),
            "vehicle_days",
            within("day_start"),
            *VEHICLES,
            order="vehicle_id, day_start",
            limit=1000,
        ),
        "percent",
        "No day of this time range is known: the build runs every 5 minutes.",
    )
    jobs = rows(
        "Jobs under way",
        about("Open jobs, those that wait longest first.", PRODUCTIVITY),
        "job_id standing vehicle_id technician city service_type waiting_min sla_target_min"
        " created_time dispatched_time",
        "jobs_open",
        *VEHICLES[:2],
        order="waiting_min desc nulls last",
        empty="No open job: orchestrate.py import-jobs FILE.csv brings them.",
        links={"vehicle_id": TO_VEHICLE},
    )
    distance = kpi_trend("Distance", "Distance driven.", UTILISATION, "fleet.distance", "lengthkm")
    return board(
        "daily-operations",
        "Daily Operations",
        "How does today go, against the same weekday?",
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
                        about("What idling costs, this month and by day.", COST),
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
                        about("What the job system says, or why it says nothing.", PRODUCTIVITY),
                        "kpi_id like 'field_service.%'",
                    ),
                ],
                folded="Jobs against their targets",
            ),
        ],
        time_from="now-30d/d",
        refresh="1m",
    )
