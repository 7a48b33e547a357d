"""NOC Live: is everything moving as it should right now?"""

from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    Panel,
)
from grafana_foundation_sdk.models.geomap import MapViewConfig

from grafana.kit.board import Shelf, board
from grafana.kit.charts import map_panel, markers
from grafana.kit.panels import BANDS, about, kpi_tiles, rows, tiles
from grafana.kit.query import BY_VEHICLE, SCOPES, VEHICLES, Query, select, within

READINESS, UTILISATION = "Readiness and data quality", "Fleet utilisation"
BEHAVIOUR, DISPATCH, HEALTH = "Driver behaviour", "Dispatch", "Vehicle health"
ALARM = "alarm_time vehicle_id city alarm_name severity speed_kmh driver_name"
PLACE = "latitude longitude heading_deg state_code vehicle_id driver_name speed_kmh fix_age_s"


def vehicle_map(title: str, *where: str) -> Panel:
    """A map of vehicles at their newest fix, coloured by state, pointing along their heading."""
    return map_panel(
        title,
        about(
            "The newest position of each vehicle. The colour is its state, the arrow its heading.",
            READINESS,
        ),
        [Query(select(PLACE.split(), "vehicle_status_now", *where, order="vehicle_id"))],
        [markers("Vehicles", "state_code", rotated=True)],
        PLACE.split(),
        "No selected vehicle has a position.",
        # A fixed view, Nairobi to Kampala: a view that follows the data jumps at each refresh.
        view=MapViewConfig(id_val="coords", lat=-1, lon=36, zoom=6),
        field=FieldConfig(color=FieldColor(FieldColorModeId.THRESHOLDS)),
    )


def idle_now() -> Panel:
    """A table of the vehicles that are idling."""
    return rows(
        "Idle now",
        about("Vehicles that are stationary with the ignition on, longest first.", UTILISATION),
        "vehicle_id city driver_name state_since_time fix_age_s",
        "vehicle_status_now",
        "state = 'idling'",
        "is_primary_device",
        *VEHICLES,
        order="state_since_time nulls last, vehicle_id",
        empty="No vehicle is idling.",
    )


def noc_live() -> Dashboard:
    freshness = kpi_tiles(
        "Data freshness",
        about(
            "Age of the newest position, and time since the last successful request for positions.",
            READINESS,
        ),
        select(
            ("place_label as label", "value", "unit", "decimals", *BANDS),
            "kpi_live",
            SCOPES,
            order="place_label",
        ),
        "No device yet: start the service or run orchestrate.py poll.",
    )
    spool = tiles(
        "Pushes waiting",
        about(
            "Pushes that the webhook has received and that are not in the database yet.", READINESS
        ),
        "pushes_waiting oldest_waiting_at measured_at",
        "spool_status",
        empty="No measurement yet.",
    )
    counts = tiles(
        "Vehicles",
        about(
            "Vehicles by state, in the colours of the map; each vehicle is in one state."
            " Speeding and outside city are coloured from the first vehicle on.",
            READINESS,
        ),
        "scope_value driving_count idling_count parked_count no_signal_count"
        " never_reported_count too_fast_count outside_city_count",
        "fleet_now",
        SCOPES,
        empty="No vehicle yet: start the service or run orchestrate.py poll.",
    )
    speeding = rows(
        "Speeding now",
        about("Vehicles above the speed limit of their class, fastest first.", BEHAVIOUR),
        "vehicle_id city driver_name speed_kmh speed_limit_kmh fix_age_s",
        "vehicle_status_now",
        "is_too_fast",
        "is_primary_device",
        *VEHICLES,
        order="speed_kmh desc",
        empty="No vehicle is speeding.",
    )
    alarms = rows(
        "Alarms",
        about("Alarms in the time range, newest first.", HEALTH),
        ALARM,
        "fact_alarms",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="No alarm in this time range.",
    )
    power = rows(
        "Power cuts, tampering, SOS",
        about("Alarms that need a person's attention, newest first.", HEALTH),
        ALARM,
        "fact_alarms",
        "alarm_class in ('power', 'tamper', 'sos')",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="No such alarm in this time range.",
    )
    outside = rows(
        "Outside assigned city",
        about("Vehicles that are outside the city they are assigned to.", DISPATCH),
        "vehicle_id city current_city driver_name state fix_age_s",
        "vehicle_status_now",
        "is_outside_city",
        "is_primary_device",
        *VEHICLES,
        order="vehicle_id",
        empty="None. Vehicles without an assigned city in seeds/vehicles.csv never appear here.",
    )
    silent = rows(
        "No recent position",
        about(
            "Devices whose newest position is too old, or that never sent one; oldest first.",
            READINESS,
        ),
        "vehicle_id imei city state gps_time fix_age_s external_voltage_v battery_pct",
        "vehicle_status_now",
        "freshness != 'fresh'",
        *VEHICLES,
        order="fix_age_s desc nulls first, vehicle_id",
        empty="Every device has a recent position.",
    )
    return board(
        "noc-live",
        "NOC Live",
        "Is everything moving as it should right now?",
        BY_VEHICLE,
        [
            Shelf(4, [freshness, spool], (15, 9)),
            Shelf(4, [counts]),
            Shelf(16, [vehicle_map("Vehicle positions", "latitude is not null", *VEHICLES)]),
            Shelf(9, [idle_now(), speeding]),
            Shelf(9, [alarms, power]),
            Shelf(9, [outside, silent]),
        ],
        time_from="now-1h",
        refresh="30s",
    )
