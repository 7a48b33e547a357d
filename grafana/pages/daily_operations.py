"""Daily Operations: how is today going, compared with the same weekday last week?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import history, kpi_trend, trend
from grafana.kit.panels import about, kpi_rows, kpi_tiles, rows
from grafana.kit.query import BY_VEHICLE, SCOPES, VEHICLES, over, select, within
from grafana.pages.noc_live import BEHAVIOUR, HEALTH, UTILISATION

COST, PRODUCTIVITY = "Cost and fuel", "Technician productivity"


def glance() -> Panel:
    """A tile per KPI of today, in the order of importance."""
    return kpi_tiles(
        "Today so far, and the change against the same weekday at the same hour",
        about(
            "Today so far, for the fleet or for the chosen cities and cost centres. The arrow is"
            " the change against the same weekday last week, up to the same minute.",
            UTILISATION,
        ),
        select(
            ("tile_label as label", "value", "display_unit as unit", "decimals"),
            "fleet_today",
            SCOPES,
            order="importance_rank, scope_value",
            limit=60,
        ),
        "No data yet: the first build has not finished.",
    )


def hours() -> Panel:
    """Distance of each hour of today, beside the same weekday last week."""
    made = trend(
        "Distance by hour: today and the same weekday last week",
        about("Length of the trails of all vehicles in each hour of the day.", UTILISATION),
        select(
            ("hour_start as time", "series as metric", "distance_km as value"),
            "fleet_hours",
            SCOPES,
            order="hour_start",
        ),
        "suffix:km",
        "No vehicle has moved today yet.",
        decimals=0,
    )
    made.time_from = "now/d"
    return made


def vehicles() -> Panel:
    """A table of today's vehicles with their distance as bars."""
    return rows(
        "Vehicles today, longest distance first",
        about("Activity of each vehicle today; the bar compares the distances.", UTILISATION),
        "vehicle_id distance_km driving_h trips_count driver_name first_movement_time"
        " last_movement_time",
        "vehicle_days",
        within("day_start"),
        *VEHICLES,
        order="distance_km desc nulls last, vehicle_id",
        empty="No data for today yet.",
        time_from="now/d",
        bars=("distance_km",),
    )


def not_moved() -> Panel:
    """A table of the vehicles that have not moved today."""
    return rows(
        "Not moved today",
        about(
            "Vehicles that have driven less today than the operating rule moved_distance.",
            UTILISATION,
        ),
        "vehicle_id city cost_centre driver_name has_reported distance_km",
        "vehicle_days",
        "not has_moved",
        "not is_never_reported",
        within("day_start"),
        *VEHICLES,
        order="vehicle_id",
        empty="Every vehicle has moved, or there is no data for today yet.",
        time_from="now/d",
    )


def ranking() -> Panel:
    """A table of vehicles by driving behaviour, worst first."""
    return rows(
        "Driving behaviour, worst first",
        about(
            "Vehicles by score over 30 days. Drivers are on the dashboard Driver behaviour.",
            BEHAVIOUR,
        ),
        "worst_rank vehicle_id city score speeding_min harsh_driving_alarms_per_100km distance_km",
        "driver_behaviour_ranking",
        "scope = 'vehicle'",
        *VEHICLES[:2],
        order="worst_rank, scope_value",
        empty="No score yet: it needs one complete day.",
        limit=50,
    )


def alarms_by_kind() -> Panel:
    """Alarms of each finished day, by kind."""
    return trend(
        "Alarms per day, by kind, until yesterday",
        about("Alarms per day, by kind.", HEALTH),
        select(
            ("day_start as time", "alarm_name as metric", "alarms_count as value"),
            "alarm_days",
            SCOPES,
            within("day_start"),
            over(),
            order="day_start, alarm_name",
        ),
        "none",
        "No alarm in this time range.",
        decimals=0,
        bars=True,
    )


def heat() -> Panel:
    """Utilisation of each vehicle and finished day."""
    return history(
        "Utilisation by vehicle and day, until yesterday",
        about(
            "Driving time as a share of the shift; at most 5,000 values, the oldest first.",
            UTILISATION,
        ),
        select(
            ("day_start as time", "vehicle_id as metric", "utilisation_pct as value"),
            "vehicle_days",
            within("day_start"),
            over(),
            *VEHICLES,
            order="day_start, vehicle_id",
            limit=5000,
        ),
        "percent",
        "No data for this time range. The build runs every 5 minutes.",
    )


def jobs() -> Panel:
    """A table of open jobs."""
    return rows(
        "Open jobs",
        about("Jobs that are not closed yet, longest waiting first.", PRODUCTIVITY),
        "job_id status vehicle_id technician city service_type waiting_min sla_target_min"
        " created_time dispatched_time",
        "jobs_open",
        *VEHICLES[:2],
        order="waiting_min desc nulls last",
        empty="No open job. Import jobs with orchestrate.py import-jobs FILE.csv.",
    )


def daily_operations() -> Dashboard:
    distance = kpi_trend(
        "Distance per day, until yesterday",
        "Distance driven.",
        UTILISATION,
        "fleet.distance",
        "suffix:km",
    )
    idle_cost = kpi_rows(
        "Cost of idling",
        about("Fuel and money spent on idling, per day and this month.", COST),
        "kpi_id in ('fuel.idle_cost_month', 'fuel.idle_cost', 'fuel.idle_volume')",
    )
    field_service = kpi_rows(
        "Field service",
        about("KPIs from the job system, or why they have no value.", PRODUCTIVITY),
        "kpi_id like 'field_service.%'",
    )
    return board(
        "daily-operations",
        "Daily Operations",
        "How is today going, compared with the same weekday last week?",
        BY_VEHICLE,
        [
            Shelf(5, [glance()]),
            Shelf(12, [hours(), vehicles()], (10, 14)),
            Shelf(9, [not_moved(), ranking()], (11, 13)),
            Shelf(9, [distance, alarms_by_kind()]),
            Shelf(12, [heat()]),
            Shelf(6, [idle_cost]),
            Shelf(9, [jobs(), field_service], folded="Jobs compared with their targets"),
        ],
        time_from="now-30d/d",
        refresh="1m",
    )
