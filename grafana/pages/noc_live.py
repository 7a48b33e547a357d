"""NOC Live: is everything moving as it should right now?"""

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    Panel,
    VariableHide,
    VariableModel,
)
from grafana_foundation_sdk.models.geomap import MapViewConfig

from grafana.kit.board import Shelf, board
from grafana.kit.charts import map_panel, markers
from grafana.kit.links import TO_MAP, TO_RUNBOOK
from grafana.kit.panels import BANDS, about, kpi_tiles, rows, tiles
from grafana.kit.query import (
    BY_VEHICLE,
    PLACES,
    SCOPES,
    VEHICLES,
    Query,
    any_of,
    many_of,
    select,
    within,
)

READINESS, UTILISATION = "Readiness and data quality", "Fleet utilisation"
BEHAVIOUR, DISPATCH, HEALTH = "Driver behaviour", "Dispatch", "Vehicle health"
ALARM = "alarm_time vehicle_id city alarm_name severity speed_kmh driver_name"
PLACE = "latitude longitude heading_deg state_code vehicle_id driver_name speed_kmh fix_age_s"
# Faults of the service concern every city.
PLACES_OR_SERVICE = tuple(f"(city = 'All cities' or {place})" for place in PLACES)
NOBODY = "Nothing needs anybody now."


def map_cities() -> VariableModel:
    """A hidden variable with the chosen cities that have an area: there is one map for each."""
    areas = f"from dwh_gold.dim_zones where kind = 'city' and {PLACES[0]}"
    variable = many_of(
        "map_city",
        "Map",
        f"select city as __value, city as __text {areas}"
        # Vehicles without a city have one map of all places.
        f" union select '__all', 'all places' where not exists (select 1 {areas}) order by 1",
    )
    variable.hide = VariableHide.HIDE_VARIABLE
    return variable


def vehicle_map(title: str, *where: str) -> Panel:
    """A map of vehicles at their newest fix, coloured by state, pointing along their heading."""
    return map_panel(
        title,
        about(
            "The newest position of each vehicle that is in the city now, at most 2,000."
            " The colour is its state, as on the tiles; the arrow is its heading.",
            READINESS,
        ),
        [
            Query(
                select(PLACE.split(), "vehicle_status_now", *where, order="vehicle_id", limit=2000)
            )
        ],
        [markers("Vehicles", "state_code", rotated=True)],
        PLACE.split(),
        "No selected vehicle is here.",
        view=MapViewConfig(id_val="fit", all_layers=True, padding=10, max_zoom=13),
        field=FieldConfig(color=FieldColor(FieldColorModeId.THRESHOLDS)),
    )


def needs_somebody() -> Panel:
    """A table of everything that is wrong now, worst first."""
    return rows(
        "Needs somebody now",
        about(
            "Every alert, worst first: SOS, power cut and tamper, then speeding, idling, vehicles"
            " outside their city, silent devices, faults of the service, and service due."
            " Vehicles that are fine are not listed.",
            READINESS,
        ),
        "severity alert_name vehicle_id city driver_name details since_time map_url runbook_path",
        "alert_items",
        *PLACES_OR_SERVICE,
        order="alert_rank, since_time desc, vehicle_id",
        empty=NOBODY,
        links={"map_url": TO_MAP, "runbook_path": TO_RUNBOOK},
    )


def alarms(title: str, text: str, *where: str) -> Panel:
    """A table of the alarms in the time range, newest first."""
    return rows(
        title,
        about(text, HEALTH),
        ALARM,
        "fact_alarms",
        *where,
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="No such alarm in this time range.",
    )


def idle_now() -> Panel:
    """A table of the vehicles that are idling."""
    return status_list(
        "Idle now",
        about("Vehicles that are stationary with the ignition on, longest first.", UTILISATION),
        "vehicle_id city driver_name state_since_time fix_age_s",
        ("state = 'idling'", "is_primary_device"),
        "state_since_time nulls last, vehicle_id",
        "No vehicle is idling.",
    )


def status_list(
    title: str, text: str, columns: str, where: Sequence[str], order: str, empty: str
) -> Panel:
    """A table of vehicles in a state."""
    return rows(
        title,
        text,
        columns,
        "vehicle_status_now",
        *where,
        *VEHICLES,
        order=order,
        empty=empty,
    )


def noc_live() -> Dashboard:
    freshness = kpi_tiles(
        "Data freshness",
        about(
            "Age of the newest position of the fleet, and time since the last successful request"
            " for positions.",
            READINESS,
        ),
        select(
            ("place_label as label", "value", "display_unit as unit", "decimals", *BANDS),
            "kpi_live",
            "kpi_id in ('quality.newest_fix_age', 'quality.sweep_age') and scope = 'fleet'",
            order="place_label",
        ),
        "No device yet: start the service or run orchestrate.py poll.",
    )
    counts = tiles(
        "Vehicles by state, in the colours of the map",
        about(
            "Vehicles by state; each vehicle is in one state."
            " Speeding and outside city are coloured from the first vehicle on.",
            READINESS,
        ),
        "scope_value driving_count idling_count parked_count no_signal_count"
        " never_reported_count too_fast_count outside_city_count",
        "fleet_now",
        SCOPES,
        empty="No vehicle yet: start the service or run orchestrate.py poll.",
    )
    maps = vehicle_map(
        "Vehicles in ${map_city}",
        "latitude is not null",
        any_of("current_city", "map_city"),
        *VEHICLES,
    )
    maps.repeat, maps.repeat_direction, maps.max_per_row = "map_city", "h", 4
    speeding = status_list(
        "Speeding now",
        about("Vehicles above the speed limit of their class, fastest first.", BEHAVIOUR),
        "vehicle_id city driver_name speed_kmh speed_limit_kmh fix_age_s",
        ("is_too_fast", "is_primary_device"),
        "speed_kmh desc",
        "No vehicle is speeding.",
    )
    outside = status_list(
        "Outside assigned city",
        about("Vehicles that are outside the city they are assigned to.", DISPATCH),
        "vehicle_id city current_city driver_name state fix_age_s",
        ("is_outside_city", "is_primary_device"),
        "vehicle_id",
        "None. Vehicles without an assigned city in seeds/vehicles.csv never appear here.",
    )
    silent = status_list(
        "No recent position",
        about(
            "Devices whose newest position is too old, or that never sent one; oldest first.",
            READINESS,
        ),
        "vehicle_id city state gps_time fix_age_s",
        ("freshness != 'fresh'",),
        "fix_age_s desc nulls first, vehicle_id",
        "Every device has a recent position.",
    )
    return board(
        "noc-live",
        "NOC Live",
        "Is everything moving as it should right now?",
        (*BY_VEHICLE, map_cities()),
        [
            Shelf(5, [freshness, counts], (6, 18)),
            Shelf(9, [needs_somebody()]),
            Shelf(12, [maps]),
            Shelf(
                9,
                [
                    alarms(
                        "Alarms of high and medium severity",
                        "Alarms in the time range that a person should see, newest first.",
                        "severity in ('high', 'medium')",
                    )
                ],
            ),
            Shelf(9, [silent, outside]),
            Shelf(9, [speeding, idle_now()], folded="Vehicles that are speeding or idle"),
            Shelf(
                9,
                [
                    alarms(
                        "Alarms of low severity",
                        "Fences, ignition and the like in the time range, newest first.",
                        "severity = 'low'",
                    )
                ],
                folded="Alarms of low severity",
            ),
        ],
        time_from="now-1h",
        refresh="30s",
    )
