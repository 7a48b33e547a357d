"""Driver behaviour: who drives well over weeks, and who needs a word?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import kpi_trend
from grafana.kit.links import TO_TRIP, TO_VEHICLE
from grafana.kit.panels import about, rows
from grafana.kit.query import BY_VEHICLE, DRIVER, PLACES, VEHICLES, any_of, within
from grafana.pages.noc_live import ALARM, BEHAVIOUR

RANKING = (
    "worst_rank scope_value city cost_centre score days_count distance_km speeding_events_count"
    " speeding_min worst_over_limit_kmh harsh_acceleration_per_100km harsh_braking_per_100km"
    " harsh_cornering_per_100km after_hours_km"
)


def behaviour() -> Dashboard:
    def ranking(title: str, scope: str, variable: str, empty: str) -> Panel:
        return rows(
            title,
            about("The 30 days before today, by score, worst first.", BEHAVIOUR),
            RANKING,
            "driver_behaviour_ranking",
            f"scope = '{scope}'",
            *PLACES,
            any_of("scope_value", variable),
            order="worst_rank, scope_value",
            empty=empty,
        )

    after_hours = rows(
        "Trips after hours",
        about("Trips that start outside the hours of the operating rules.", BEHAVIOUR),
        "start_time end_time vehicle_id driver_name city distance_km max_speed_kmh",
        "fact_trips",
        "is_after_hours",
        within("day_start"),
        *VEHICLES,
        order="day_start desc, start_time desc",
        empty="None in this time range.",
        links={"start_time": TO_TRIP, "vehicle_id": TO_VEHICLE},
    )
    alarms = rows(
        "Alarms about driving",
        about("Speeding and harsh driving as the devices raise them.", BEHAVIOUR),
        ALARM,
        "fact_alarms",
        "alarm_class in ('harsh_driving', 'speeding')",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="None in this time range.",
        links={"vehicle_id": TO_VEHICLE},
    )
    nameless = "No driver is known: names are entered in the vendor's platform."
    return board(
        "driver-behaviour",
        "Driver behaviour",
        "Who drives well, and who needs a word?",
        (*BY_VEHICLE, DRIVER),
        [
            Shelf(10, [ranking("Drivers, worst first", "driver", "driver", nameless)]),
            Shelf(
                10,
                [ranking("Vehicles, worst first", "vehicle", "vehicle", "No day is over yet.")],
            ),
            Shelf(
                8,
                [
                    kpi_trend("Score", "100 is flawless.", BEHAVIOUR, "driver.score", "none"),
                    kpi_trend(
                        "Time too fast",
                        "Above the limit of the class.",
                        BEHAVIOUR,
                        "driver.speeding_time",
                        "m",
                    ),
                    kpi_trend(
                        "Harsh braking",
                        "Per 100 km.",
                        BEHAVIOUR,
                        "driver.harsh_braking",
                        "none",
                    ),
                ],
            ),
            Shelf(9, [after_hours, alarms]),
        ],
        time_from="now-30d/d",
    )
