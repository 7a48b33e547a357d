"""Zones & dwell: where is time spent, and when do vehicles leave the depot?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import kpi_trend, map_panel, markers, trend
from grafana.kit.panels import about, kpi_rows, rows
from grafana.kit.query import BY_VEHICLE, PLACES, VEHICLES, Query, select, within

ZONES, PRODUCTIVITY = "Zones", "Technician productivity"
MAP_COLUMNS = "zone_name latitude longitude zone_visits_count dwell_h zone_kind city is_assumed"


def zones_dwell() -> Dashboard:
    departures = rows(
        "Departures, latest first",
        about(
            "The first departure of each vehicle for its shift: the newest day first, and on a"
            " day the longest after the start of the shift.",
            PRODUCTIVITY,
        ),
        "vehicle_id late_min departure_time driver_name shift_start_time return_time",
        "vehicle_shifts",
        within("day_start"),
        *VEHICLES,
        order="day_start desc, late_min desc nulls last, vehicle_id",
        empty="No vehicle has departed in this time range.",
    )
    dwell = trend(
        "Hours in each zone",
        about("All vehicles together, per day, in each depot and fence.", ZONES),
        select(
            ("day_start as time", "zone_name as metric", "dwell_h as value"),
            "zone_days",
            within("day_start"),
            PLACES[0],
            order="day_start, zone_name",
            limit=5000,
        ),
        "suffix:h",
        "No vehicle was in a zone in this time range.",
        decimals=0,
        bars=True,
    )
    zones = rows(
        "Zones by day",
        about("The newest day first, then the zones with the most hours.", ZONES),
        "day_start zone_name zone_visits_count dwell_h depot_departures_count depot_returns_count",
        "zone_days",
        within("day_start"),
        PLACES[0],
        order="day_start desc, dwell_h desc nulls last, zone_name",
        empty="No vehicle was in a zone in this time range.",
    )
    visits = rows(
        "Visits",
        about("Visits to depots and fences, split at midnight, newest first.", ZONES),
        "entry_time exit_time vehicle_id driver_name zone_name dwell_s",
        "zone_visits",
        "zone_kind != 'city'",
        within("day_start"),
        *VEHICLES,
        order="day_start desc, entry_time desc",
        empty="No visit in this time range.",
    )
    world_map = map_panel(
        "Where the zones are",
        about("Depots and fences with a visit today; more visits make a larger symbol.", ZONES),
        [
            Query(
                select(
                    MAP_COLUMNS.split(),
                    "zone_days",
                    within("day_start"),
                    PLACES[0],
                    order="zone_name",
                    limit=500,
                )
            )
        ],
        [markers("Zones", "zone_visits_count", size="zone_visits_count")],
        MAP_COLUMNS.split(),
        "No depot or fence has been visited today, or none is defined.",
    )
    world_map.time_from = "now/d"
    all_kpis = kpi_rows(
        "Zones: all KPIs",
        about("The newest day that is over, or why there is no value.", ZONES),
        "domain = 'Zones'",
    )
    return board(
        "zones-dwell",
        "Zones & dwell",
        "Where is time spent, and when do vehicles leave the depot?",
        BY_VEHICLE,
        [
            Shelf(11, [departures, dwell], (13, 11)),
            Shelf(
                8,
                [
                    kpi_trend(title, what, ZONES, kpi_id, "none", 0)
                    for title, what, kpi_id in (
                        ("Departures from depots", "Per day.", "zone.depot_departures"),
                        ("Returns to depots", "Per day.", "zone.depot_returns"),
                        ("Visits to zones", "To depots and fences, per day.", "zone.visits"),
                    )
                ],
            ),
            Shelf(11, [visits, zones], (14, 10)),
            Shelf(8, [all_kpis, world_map], (14, 10)),
        ],
        time_from="now-7d/d",
    )
