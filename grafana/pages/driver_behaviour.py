"""Driver behaviour: who drives well, and who needs coaching?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import kpi_trend
from grafana.kit.links import TO_TRIP
from grafana.kit.panels import about, rows
from grafana.kit.query import BY_VEHICLE, DRIVER, PLACES, VEHICLES, any_of, within
from grafana.pages.noc_live import BEHAVIOUR

MEASURES = (
    "score distance_km speeding_min worst_over_limit_kmh harsh_driving_alarms_per_100km"
    " after_hours_km"
)
TRENDS = (
    ("Driving score", "0 to 100 points; 100 means no driving alarm.", "driver.score", "none"),
    (
        "Time above the speed limit",
        "All vehicles together; the limit is the one of the vehicle's class.",
        "driver.speeding_time",
        "suffix:min",
    ),
    (
        "Harsh driving alarms per 100 km",
        "Harsh braking, acceleration and cornering, as the devices report it.",
        "driver.harsh_alarms",
        "none",
    ),
)


def driver_behaviour() -> Dashboard:
    def ranking(title: str, scope: str, columns: str, empty: str) -> Panel:
        return rows(
            title,
            about("The 30 days before today; the lowest score comes first.", BEHAVIOUR),
            f"{columns} {MEASURES}",
            "driver_behaviour_ranking",
            f"scope = '{scope}'",
            *PLACES,
            any_of("vehicle_id", "vehicle"),
            *([any_of("scope_value", "driver")] if scope == "driver" else []),
            order="worst_rank, scope_value",
            empty=empty,
            titles={"scope_value": "Driver", "vehicle_id": "Last vehicle"}
            if scope == "driver"
            else {},
        )

    drivers = ranking(
        "Drivers, worst first",
        "driver",
        "scope_value vehicle_id",
        "No driver is known. Enter driver names in the Tracksolid platform.",
    )
    vehicles = ranking("Vehicles, worst first", "vehicle", "vehicle_id city", "No day is over yet.")
    alarms = rows(
        "Driving alarms",
        about("Speeding and harsh driving, as the devices report it; newest first.", BEHAVIOUR),
        "alarm_time vehicle_id driver_name alarm_name severity speed_kmh",
        "fact_alarms",
        "alarm_class in ('harsh_driving', 'speeding')",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="No driving alarm in this time range.",
    )
    after_hours = rows(
        "Trips after hours",
        about(
            "Trips that start outside working hours, newest first. A start leads to the trip.",
            BEHAVIOUR,
        ),
        "start_time vehicle_id driver_name distance_km driving_time_s max_speed_kmh",
        "fact_trips",
        "is_after_hours",
        within("day_start"),
        *VEHICLES,
        order="day_start desc, start_time desc",
        empty="No trip after hours in this time range.",
        links={"start_time": TO_TRIP},
    )
    return board(
        "driver-behaviour",
        "Driver behaviour",
        "Who drives well, and who needs coaching?",
        (*BY_VEHICLE, DRIVER),
        [
            Shelf(12, [drivers, vehicles]),
            Shelf(
                8,
                [
                    kpi_trend(title, text, BEHAVIOUR, kpi_id, unit)
                    for title, text, kpi_id, unit in TRENDS
                ],
            ),
            Shelf(11, [alarms, after_hours]),
        ],
        time_from="now-30d/d",
    )
