"""Vehicle: what did this vehicle do, and what condition is it in?"""

from grafana_foundation_sdk.models.common import MapLayerOptions
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    Panel,
)

from grafana.kit.board import Shelf, board
from grafana.kit.charts import map_panel, markers, timeline, trend
from grafana.kit.colours import BLUE
from grafana.kit.links import TO_TRIP
from grafana.kit.panels import about, rows, tiles
from grafana.kit.query import BY_PLACE, ONE_VEHICLE, Query, chosen, over, select, within
from grafana.pages.noc_live import ALARM, HEALTH, READINESS, UTILISATION

IS_CHOSEN = chosen("vehicle_id", "vehicle")
CHOOSE = "Choose a vehicle above."
MONTH = "now-30d"  # the condition of a vehicle is shown over 30 days, whatever the page's range
FIX = ("gps_time", "latitude", "longitude", "speed_kmh", "heading_deg", "vehicle_id")
TRAIL = (*FIX, "speed_limit_kmh", "speed_code")
STOPS = ("start_time", "latitude", "longitude", "duration_s", "kind", "address", "vehicle_id")


def now() -> Panel:
    """Tiles of the vehicle's state and position at this moment."""
    return tiles(
        "Now",
        about("The newest position of the vehicle and its age.", READINESS),
        "state state_since_time current_city speed_kmh fix_age_s",
        "vehicle_status_now",
        IS_CHOSEN,
        "is_primary_device",
        empty=CHOOSE,
    )


def service() -> Panel:
    """Tiles of the odometer and the next service."""
    return tiles(
        "Odometer and service",
        about(
            "When the next service is due, at the average distance of the last four weeks.", HEALTH
        ),
        "odometer_km km_to_service service_day fault_codes_count",
        "vehicle_health_now",
        IS_CHOSEN,
        empty=f"{CHOOSE} If one is chosen: no odometer reading is known.",
    )


def states() -> Panel:
    """The vehicle's states as a band over the time range."""
    return timeline(
        "Moving, idle, parked, no signal",
        about("States from trips and stops. Long silence is shown as no signal.", UTILISATION),
        select(
            ("start_time as time", "vehicle_id as metric", "state_code"),
            "vehicle_timeline",
            IS_CHOSEN,
            "is_primary_device",
            "start_time < $__timeTo()",
            "(end_time is null or end_time > $__timeFrom())",
            order="start_time",
            limit=5000,
        ),
        f"{CHOOSE} Only the first 5,000 changes of a time range are shown.",
    )


def speed() -> Panel:
    """Speed over time, with the limit of the vehicle's class."""
    return trend(
        "Speed; the dashed line is the limit of its class",
        about("Speed at each position, at most 5,000 of them.", UTILISATION),
        select(
            ("gps_time as time", "vehicle_id as metric", "speed_kmh"),
            "vehicle_trail",
            IS_CHOSEN,
            "is_primary_device",
            within("gps_time"),
            order="gps_time",
            limit=5000,
        ),
        "velocitykmh",
        f"{CHOOSE} If one is chosen: no position in this time range.",
        decimals=0,
        bands=select(
            ("0 as lower_base", "speed_limit_kmh as lower_critical"),
            "vehicle_status_now",
            IS_CHOSEN,
            "is_primary_device",
        ),
    )


def trail() -> Panel:
    """A map of the route and the stops in the time range."""
    queries = [
        Query(
            select(
                TRAIL,
                "vehicle_trail",
                IS_CHOSEN,
                "is_primary_device",
                within("gps_time"),
                order="gps_time",
                limit=2000,
            )
        ),
        Query(
            select(
                STOPS,
                "fact_stops",
                IS_CHOSEN,
                "is_primary_device",
                within("start_time"),
                "latitude is not null",
                order="start_time",
                limit=200,
            ),
            ref_id="B",
        ),
    ]
    return map_panel(
        "Route and stops",
        about(
            "The first 2,000 positions, coloured as stationary, moving or speeding (above the"
            " limit of the vehicle's class and city). The larger the symbol of a stop, the"
            " longer the stop.",
            UTILISATION,
        ),
        queries,
        [
            _route(),
            markers("Fixes", "speed_code"),
            markers("Stops", "duration_s", ref_id="B", size="duration_s"),
        ],
        list(dict.fromkeys(TRAIL + STOPS)),
        CHOOSE,
        field=FieldConfig(color=FieldColor(FieldColorModeId.THRESHOLDS)),
    )


def trips() -> Panel:
    """A table of the trips in the time range; each leads to its trail."""
    return rows(
        "Trips: click a start to see its trail",
        about("Trips in the time range. Click a start time to see only that trip.", UTILISATION),
        "start_time end_time vehicle_id driver_name distance_km driving_time_s max_speed_kmh"
        " is_after_hours",
        "fact_trips",
        IS_CHOSEN,
        "is_primary_device",
        within("start_time"),
        order="start_time desc",
        empty=f"{CHOOSE} If one is chosen: no trip in this time range.",
        links={"start_time": TO_TRIP},
        hidden=["vehicle_id"],
    )


def stops() -> Panel:
    """A table of the stops in the time range, with place and length."""
    return rows(
        "Stops",
        about("Stops in the time range, parked or idling, newest first.", UTILISATION),
        "start_time duration_s kind address",
        "fact_stops",
        IS_CHOSEN,
        "is_primary_device",
        within("start_time"),
        order="start_time desc",
        empty=f"{CHOOSE} If one is chosen: no stop in this time range.",
    )


def alarms() -> Panel:
    """A table of the alarms of the last 30 days."""
    return rows(
        "Alarms of the last 30 days",
        about("Alarms of the last 30 days, newest first.", HEALTH),
        ALARM.replace("vehicle_id city ", ""),
        "fact_alarms",
        IS_CHOSEN,
        within("alarm_time"),
        order="alarm_time desc",
        empty=f"{CHOOSE} If one is chosen: no alarm in the last 30 days.",
        time_from=MONTH,
    )


def profile() -> Panel:
    """A table of the vehicle and its devices."""
    return rows(
        "Vehicle and devices",
        about(
            "The vehicle and its devices, from the vendor's device list and seeds/vehicles.csv.",
            READINESS,
        ),
        "vehicle_id vehicle_number vehicle_class vehicle_model city cost_centre driver_name imei"
        " device_model is_primary_device",
        "dim_vehicles",
        IS_CHOSEN,
        order="vehicle_id, is_primary_device desc",
        empty=CHOOSE,
        limit=50,
    )


def vehicle() -> Dashboard:
    return board(
        "vehicle",
        "Vehicle",
        "What did this vehicle do, and what condition is it in?",
        (*BY_PLACE, ONE_VEHICLE),
        [
            Shelf(4, [now(), service()], (14, 10)),
            Shelf(4, [states()]),
            Shelf(12, [speed(), trail()], (13, 11)),
            Shelf(9, [trips(), stops()], (14, 10)),
            Shelf(
                8,
                [
                    _daily_trend("Odometer", "odometer_km", "suffix:km"),
                    _daily_trend("Vehicle battery", "min_external_voltage_v", "suffix:V"),
                    _daily_trend("Device battery", "min_battery_pct", "percent"),
                ],
            ),
            Shelf(8, [alarms()]),
            Shelf(4, [profile()]),
        ],
        time_from="now/d",
    )


def _route() -> MapLayerOptions:
    style = {"color": {"fixed": BLUE}, "size": {"fixed": 2}, "opacity": 0.6}
    layer = markers("Route", "speed_code")
    return MapLayerOptions(
        type_val="route",
        name="Route",
        tooltip=False,
        location=layer.location,
        filter_data=layer.filter_data,
        config={"arrow": 1, "style": style},
    )


def _daily_trend(title: str, column: str, unit: str) -> Panel:
    made = trend(
        f"{title}, 30 days",
        about(f"{title} per day over the last 30 days.", HEALTH),
        select(
            ("day_start as time", "scope_value as metric", f"{column} as value"),
            "kpi_vehicle_health_daily",
            "scope = 'vehicle'",
            chosen("scope_value", "vehicle"),
            within("day_start"),
            over(),
            order="day_start",
        ),
        unit,
        f"{CHOOSE} If one is chosen: no device reported this in the last 30 days.",
    )
    made.time_from = MONTH
    return made
