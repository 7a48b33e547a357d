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
from grafana.kit.panels import about, rows
from grafana.kit.query import BY_VEHICLE, Query, chosen, select, within
from grafana.pages.noc_live import ALARM, HEALTH, READINESS, UTILISATION

IS_CHOSEN = chosen("vehicle_id", "vehicle")
CHOOSE = "Choose a vehicle above."
FIX = ("gps_time", "latitude", "longitude", "speed_kmh", "heading_deg", "vehicle_id")
TRAIL = (*FIX, "speed_limit_kmh", "speed_code")
STOPS = ("start_time", "latitude", "longitude", "duration_s", "kind", "address", "vehicle_id")


def vehicle() -> Dashboard:
    profile = rows(
        "Vehicle and devices",
        about(
            "The vehicle and its devices, from the vendor's device list and seeds/vehicles.csv.",
            READINESS,
        ),
        "vehicle_id vehicle_number vehicle_class vehicle_model city cost_centre driver_name imei"
        " device_model is_primary_device is_enabled activation_time",
        "dim_vehicles",
        IS_CHOSEN,
        order="vehicle_id, is_primary_device desc",
        empty=CHOOSE,
        limit=50,
    )
    now = rows(
        "Now",
        about("The newest position of each device and its age.", READINESS),
        "vehicle_id state state_since_time speed_kmh current_city is_outside_city fix_age_s"
        " external_voltage_v battery_pct odometer_km",
        "vehicle_status_now",
        IS_CHOSEN,
        order="vehicle_id, imei",
        empty=CHOOSE,
        limit=50,
    )
    day = timeline(
        "Driving, idle, parked, no signal",
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
    trips = rows(
        "Trips",
        about("Trips in the time range. Click a start time to see only that trip.", UTILISATION),
        "start_time end_time vehicle_id driver_name distance_km driving_time_s max_speed_kmh"
        " is_after_hours",
        "fact_trips",
        IS_CHOSEN,
        within("start_time"),
        order="start_time desc",
        empty=f"{CHOOSE} If one is chosen: no trip in this time range.",
        links={"start_time": TO_TRIP},
    )
    trail = map_panel(
        "Route and stops",
        about(
            "The first 2,000 positions, coloured as stationary, moving or speeding (above the"
            " limit of the vehicle's class and city). The larger the symbol of a stop, the"
            " longer the stop.",
            UTILISATION,
        ),
        [
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
                    within("start_time"),
                    "latitude is not null",
                    order="start_time",
                    limit=200,
                ),
                ref_id="B",
            ),
        ],
        [
            _route(),
            markers("Fixes", "speed_code"),
            markers("Stops", "duration_s", ref_id="B", size="duration_s"),
        ],
        list(dict.fromkeys(TRAIL + STOPS)),
        CHOOSE,
        field=FieldConfig(color=FieldColor(FieldColorModeId.THRESHOLDS)),
    )
    service = rows(
        "Odometer and service",
        about(
            "When the next service is due, at the average distance of the last four weeks.", HEALTH
        ),
        "odometer_km km_to_service days_to_service service_day fault_codes_count is_battery_low",
        "vehicle_health_now",
        IS_CHOSEN,
        order="vehicle_id",
        empty=f"{CHOOSE} If one is chosen: no odometer reading is known.",
        limit=50,
    )
    alarms = rows(
        "Alarms",
        about("Alarms in the time range, newest first.", HEALTH),
        ALARM,
        "fact_alarms",
        IS_CHOSEN,
        within("alarm_time"),
        order="alarm_time desc",
        empty=f"{CHOOSE} If one is chosen: no alarm in this time range.",
    )
    return board(
        "vehicle",
        "Vehicle",
        "What did this vehicle do, and what condition is it in?",
        BY_VEHICLE,
        [
            Shelf(5, [profile]),
            Shelf(5, [now]),
            Shelf(6, [day]),
            Shelf(14, [trips, trail], (11, 13)),
            Shelf(8, [service, alarms]),
            Shelf(
                8,
                [
                    _daily_trend("Device battery", "min_battery_pct", "percent"),
                    _daily_trend("Vehicle battery", "min_external_voltage_v", "suffix:V"),
                    _daily_trend("Odometer", "odometer_km", "suffix:km"),
                ],
            ),
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
    return trend(
        title,
        about(f"{title} per day; choose a time range of several days.", HEALTH),
        select(
            ("day_start as time", "scope_value as metric", f"{column} as value"),
            "kpi_vehicle_health_daily",
            "scope = 'vehicle'",
            chosen("scope_value", "vehicle"),
            within("day_start"),
            order="day_start",
        ),
        unit,
        f"{CHOOSE} If one is chosen: no device reported this in the time range.",
    )
