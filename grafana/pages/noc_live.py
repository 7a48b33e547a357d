"""NOC Live: is everything moving as it should, at this moment?"""

from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    Panel,
)
from grafana_foundation_sdk.models.geomap import MapViewConfig

from grafana.kit.board import Shelf, board
from grafana.kit.charts import markers, world
from grafana.kit.links import TO_VEHICLE
from grafana.kit.panels import BANDS, about, kpi_tiles, rows, tiles
from grafana.kit.query import BY_VEHICLE, SCOPES, VEHICLES, Query, select, within

READINESS, UTILISATION = "Readiness and data quality", "Fleet utilisation"
BEHAVIOUR, DISPATCH, HEALTH = "Driver behaviour", "Dispatch", "Vehicle health"
ALARM = "alarm_time vehicle_id city alarm_name severity speed_kmh driver_name"
PLACE = "latitude longitude heading_deg state_code vehicle_id driver_name speed_kmh fix_age_s"


def vehicle_map(title: str, *where: str) -> Panel:
    """Vehicles where they are, coloured by state, pointing where they head."""
    return world(
        title,
        about("Vehicles at their newest fix, coloured by state, pointing ahead.", READINESS),
        [Query(select(PLACE.split(), "vehicle_status_now", *where, order="vehicle_id"))],
        [markers("Vehicles", "state_code", rotated=True)],
        PLACE.split(),
        "No vehicle of this choice has a position.",
        # A fixed view: one that follows the data jumps on the wall. Nairobi to Kampala.
        view=MapViewConfig(id_val="coords", lat=-1, lon=36, zoom=6),
        link=TO_VEHICLE,
        field=FieldConfig(color=FieldColor(FieldColorModeId.THRESHOLDS)),
    )


def idle_now() -> Panel:
    """Who stands with the engine on."""
    return rows(
        "Idle now",
        about("Vehicles that stand with the ignition on, longest first.", UTILISATION),
        "vehicle_id city driver_name state_since_time fix_age_s",
        "vehicle_status_now",
        "state = 'idling'",
        "is_primary_device",
        *VEHICLES,
        order="state_since_time nulls last, vehicle_id",
        empty="Nobody idles.",
        links={"vehicle_id": TO_VEHICLE},
    )


def noc() -> Dashboard:
    freshness = kpi_tiles(
        "How fresh it is",
        about("Age of the newest fix and of the last good sweep, in the bands agreed.", READINESS),
        select(
            ("place_label as label", "value", "unit", "decimals", *BANDS),
            "kpi_live",
            SCOPES,
            order="place_label",
        ),
        "No device is known yet: run the first poll.",
    )
    spool = tiles(
        "Pushes waiting",
        about("What the webhook holds until it is drained to the database.", READINESS),
        "pushes_waiting oldest_waiting_at measured_at",
        "spool_status",
        empty="The drain has not run yet.",
    )
    counts = tiles(
        "Vehicles",
        about(
            "What vehicles do at this moment; each is in one state and has its colour on the"
            " map. Too fast and outside the city light up from the first.",
            READINESS,
        ),
        "scope_value driving_count idling_count parked_count no_signal_count"
        " never_reported_count too_fast_count outside_city_count",
        "fleet_now",
        SCOPES,
        empty="No vehicle is known yet: run the first poll.",
    )
    too_fast = rows(
        "Too fast now",
        about("Vehicles above the speed limit of their class.", BEHAVIOUR),
        "vehicle_id city driver_name speed_kmh speed_limit_kmh fix_age_s",
        "vehicle_status_now",
        "is_too_fast",
        "is_primary_device",
        *VEHICLES,
        order="speed_kmh desc",
        empty="Nobody is too fast.",
        links={"vehicle_id": TO_VEHICLE},
    )
    alarms = rows(
        "Alarms",
        about("Alarms of the time range, newest first.", HEALTH),
        ALARM,
        "fact_alarms",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="No alarm in this time range.",
        links={"vehicle_id": TO_VEHICLE},
    )
    power = rows(
        "Power cuts, tampering, SOS",
        about("Alarms that somebody has to look at, newest first.", HEALTH),
        ALARM,
        "fact_alarms",
        "alarm_class in ('power', 'tamper', 'sos')",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="None in this time range.",
        links={"vehicle_id": TO_VEHICLE},
    )
    outside = rows(
        "Outside their city",
        about("Vehicles outside the city that they are assigned to.", DISPATCH),
        "vehicle_id city current_city driver_name state fix_age_s",
        "vehicle_status_now",
        "is_outside_city",
        "is_primary_device",
        *VEHICLES,
        order="vehicle_id",
        empty="None, or no vehicle has an assigned city: fill seeds/vehicles.csv.",
        links={"vehicle_id": TO_VEHICLE},
    )
    silent = rows(
        "Without a fix for long",
        about("Devices whose newest fix is too old, or that never had one.", READINESS),
        "vehicle_id imei city state gps_time fix_age_s external_voltage_v battery_pct",
        "vehicle_status_now",
        "freshness != 'fresh'",
        *VEHICLES,
        order="fix_age_s desc nulls first, vehicle_id",
        empty="Every device is fresh.",
        links={"vehicle_id": TO_VEHICLE},
    )
    return board(
        "noc-live",
        "NOC Live",
        "Is everything moving as it should, at this moment?",
        BY_VEHICLE,
        [
            Shelf(4, [freshness, spool], (15, 9)),
            Shelf(4, [counts]),
            Shelf(16, [vehicle_map("Where they are", "latitude is not null", *VEHICLES)]),
            Shelf(9, [idle_now(), too_fast]),
            Shelf(9, [alarms, power]),
            Shelf(9, [outside, silent]),
        ],
        time_from="now-1h",
        refresh="30s",
    )
