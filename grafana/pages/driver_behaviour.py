"""Driver behaviour: who drives well, and who needs coaching?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import kpi_trend
from grafana.kit.links import TO_TRIP
from grafana.kit.panels import about, rows
from grafana.kit.query import BY_VEHICLE, DRIVER, PLACES, VEHICLES, any_of, within
from grafana.pages.noc_live import ALARM, BEHAVIOUR

RANKING = (
    "worst_rank scope_value city score days_count distance_km speeding_events_count"
    " speeding_min worst_over_limit_kmh harsh_driving_alarms_per_100km after_hours_km"
)


def driver_behaviour() -> Dashboard:
    def ranking(title: str, scope: str, variable: str, empty: str) -> Panel:
        return rows(
            title,
            about("Scores over the 30 days before today, worst first.", BEHAVIOUR),
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
        about("Trips that start outside the working hours in the operating rules.", BEHAVIOUR),
        "start_time end_time vehicle_id driver_name distance_km max_speed_kmh",
        "fact_trips",
        "is_after_hours",
        within("day_start"),
        *VEHICLES,
        order="day_start desc, start_time desc",
        empty="No trip after hours in this time range.",
        links={"start_time": TO_TRIP},
    )
    alarms = rows(
        "Driving alarms",
        about("Alarms about speeding and harsh driving, as the devices raised them.", BEHAVIOUR),
        ALARM,
        "fact_alarms",
        "alarm_class in ('harsh_driving', 'speeding')",
        within("alarm_time"),
        *VEHICLES,
        order="alarm_time desc",
        empty="No driving alarm in this time range.",
    )
    no_driver = "No driver is known. Enter driver names in the Tracksolid platform."
    return board(
        "driver-behaviour",
        "Driver behaviour",
        "Who drives well, and who needs coaching?",
        (*BY_VEHICLE, DRIVER),
        [
            Shelf(10, [ranking("Drivers, worst first", "driver", "driver", no_driver)]),
            Shelf(
                10,
                [ranking("Vehicles, worst first", "vehicle", "vehicle", "No complete day yet.")],
            ),
            Shelf(
                8,
                [
                    kpi_trend(
                        "Score",
                        "0 to 100; 100 means no driving alarm.",
                        BEHAVIOUR,
                        "driver.score",
                        "none",
                    ),
                    kpi_trend(
                        "Speeding time",
                        "Time above the speed limit of the vehicle's class.",
                        BEHAVIOUR,
                        "driver.speeding_time",
                        "suffix:min",
                    ),
                    kpi_trend(
                        "Harsh driving alarms",
                        "Alarms about harsh manoeuvres per 100 km.",
                        BEHAVIOUR,
                        "driver.harsh_alarms",
                        "none",
                    ),
                ],
            ),
            Shelf(9, [after_hours, alarms]),
        ],
        time_from="now-30d/d",
    )
