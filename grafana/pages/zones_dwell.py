"""Zones & dwell: where is time spent, and when do vehicles leave the depot?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import kpi_trend, map_panel, markers, trend
from grafana.kit.panels import about, kpi_rows, rows
from grafana.kit.query import BY_VEHICLE, PLACES, VEHICLES, Query, select, within

ZONES = "Zones"


def zones_dwell() -> Dashboard:
    columns = "zone_name latitude longitude zone_visits_count dwell_h zone_kind city is_assumed"
    world_map = map_panel(
        "Zones today",
        about("Depots and fences. The larger the symbol, the more visits today.", ZONES),
        [
            Query(
                select(
                    columns.split(),
                    "zone_days",
                    within("day_start"),
                    PLACES[0],
                    order="zone_name",
                    limit=500,
                )
            )
        ],
        [markers("Zones", "zone_visits_count", size="zone_visits_count")],
        columns.split(),
        "No depot or fence has been visited today, or none is defined.",
    )
    world_map.time_from = "now/d"
    dwell = trend(
        "Time in zones",
        about("Hours that all vehicles together spent in each depot and fence.", ZONES),
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
        bars=True,
    )
    visits = rows(
        "Visits",
        about("Visits to depots and fences, split at midnight, newest first.", ZONES),
        "entry_time exit_time vehicle_id driver_name zone_name zone_kind dwell_s is_continued"
        " has_left",
        "zone_visits",
        "zone_kind != 'city'",
        within("day_start"),
        *VEHICLES,
        order="day_start desc, entry_time desc",
        empty="No visit in this time range.",
    )
    return board(
        "zones-dwell",
        "Zones & dwell",
        "Where is time spent, and when do vehicles leave the depot?",
        BY_VEHICLE,
        [
            Shelf(13, [world_map, dwell], (10, 14)),
            Shelf(
                8,
                [
                    kpi_trend(title, what, ZONES, kpi_id, "none", 0)
                    for title, what, kpi_id in (
                        ("Departures", "Departures from depots.", "zone.depot_departures"),
                        ("Returns", "Returns to depots.", "zone.depot_returns"),
                        ("Visits", "Visits to depots and fences.", "zone.visits"),
                    )
                ],
            ),
            Shelf(12, [visits]),
            Shelf(
                8,
                [
                    kpi_rows(
                        "Zones: all KPIs",
                        about("Values of the newest complete day, or why there is none.", ZONES),
                        "domain = 'Zones'",
                    )
                ],
            ),
        ],
        time_from="now-7d/d",
    )
