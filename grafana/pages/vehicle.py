"""Vehicle: what did this vehicle do, and how is it?"""

from grafana_foundation_sdk.models.common import MapLayerOptions
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    Panel,
)

from grafana.kit.board import Shelf, board
from grafana.kit.charts import markers, timeline, trend, world
from grafana.kit.columns import BLUE
from grafana.kit.links import TO_TRIP
from grafana.kit.panels import about, rows
from grafana.kit.query import BY_VEHICLE, Query, chosen, select, within
from grafana.pages.noc_live import ALARM, HEALTH, READINESS, UTILISATION

THESE = chosen("vehicle_id", "vehicle")
CHOOSE = "Choose a vehicle above."
FIX = ("gps_time", "latitude", "longitude", "speed_kmh", "heading_deg", "vehicle_id")
TRAIL = (*FIX, "speed_limit_kmh", "speed_code")
STOPS = ("start_time", "latitude", "longitude", "duration_s", "kind", "address", "vehicle_id")


def vehicle() -> Dashboard:
    profile = rows(
        "Who it is",
        about("The vehicle and its devices, as the registers have them.", READINESS),
        "vehicle_id vehicle_number vehicle_class vehicle_model city cost_centre driver_name imei"
        " device_model is_primary_device is_enabled activation_time",
        "dim_vehicles",
        THESE,
        order="vehicle_id, is_primary_device desc",
        empty=CHOOSE,
        limit=50,
    )
    now = rows(
        "Now",
        about("The newest fix of each device and how old it is.", READINESS),
        "vehicle_id state state_since_time speed_kmh current_city is_outside_city fix_age_s"
        " external_voltage_v battery_pct odometer_km",
        "vehicle_status_now",
        THESE,
        order="vehicle_id, imei",
        empty=CHOOSE,
        limit=50,
    )
    day = timeline(
        "Driving, idle, parked, no signal",
        about("From trips and stops; longer silence is no signal.", UTILISATION),
        select(
            ("start_time as time", "vehicle_id as metric", "state_code"),
            "vehicle_timeline",
            THESE,
            "is_primary_device",
            "start_time < $__timeTo()",
            "(end_time is null or end_time > $__timeFrom())",
            order="start_time",
            limit=5000,
        ),
        f"{CHOOSE} A long time range is cut off at 5,000 changes.",
    )
    trips = rows(
        "Trips",
        about("Trips of the time range; a click narrows it to the trip.", UTILISATION),
        "start_time end_time vehicle_id driver_name distance_km driving_time_s avg_speed_kmh"
        " max_speed_kmh start_city end_city is_after_hours",
        "fact_trips",
        THESE,
        within("start_time"),
        order="start_time desc",
        empty=f"{CHOOSE} Or there was no trip in this time range.",
        links={"start_time": TO_TRIP},
    )
    trail = world(
        "Where it went",
        about(
            "Standing, moving, above the speed limit of its class and city: the first 2,000"
            " fixes; and stops, the larger the longer.",
            UTILISATION,
        ),
        [
            Query(
                select(
                    TRAIL,
                    "vehicle_trail",
                    THESE,
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
                    THESE,
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
        about("When the next service is due at the pace of four weeks.", HEALTH),
        "vehicle_id odometer_km km_to_service days_to_service service_day fault_codes_count"
        " is_battery_low",
        "vehicle_health_now",
        THESE,
        order="vehicle_id",
        empty=f"{CHOOSE} Or no odometer is known.",
        limit=50,
    )
    alarms = rows(
        "Alarms",
        about("Alarms of the time range, newest first.", HEALTH),
        ALARM,
        "fact_alarms",
        THESE,
        within("alarm_time"),
        order="alarm_time desc",
        empty=f"{CHOOSE} Or there was no alarm in this time range.",
    )
    return board(
        "vehicle",
        "Vehicle",
        "What did this vehicle do, and how is it?",
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
                    _course("Battery of the device", "min_battery_pct", "percent"),
                    _course("Battery of the vehicle", "min_external_voltage_v", "volt"),
                    _course("Odometer", "odometer_km", "lengthkm"),
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


def _course(title: str, column: str, unit: str) -> Panel:
    return trend(
        title,
        about(f"{title}, the figure of each day; choose more than a day.", HEALTH),
        select(
            ("day_start as time", "scope_value as metric", f"{column} as value"),
            "kpi_vehicle_health_daily",
            "scope = 'vehicle'",
            chosen("scope_value", "vehicle"),
            within("day_start"),
            order="day_start",
        ),
        unit,
        f"{CHOOSE} Or no device told it in this time range.",
    )
