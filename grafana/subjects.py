"""Driver behaviour, and maintenance with fuel: over weeks, not moments."""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.board import Shelf, board
from grafana.charts import kpi_trend
from grafana.daily import COST
from grafana.links import TO_TRIP, TO_VEHICLE
from grafana.live import ALARM, BEHAVIOUR, HEALTH
from grafana.panels import about, kpi_rows, rows
from grafana.query import BY_VEHICLE, DRIVER, PLACES, VEHICLES, any_of, within

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


def maintenance() -> Dashboard:
    due = rows(
        "Next services",
        about("At the pace of four weeks, the soonest first.", HEALTH),
        "vehicle_id city cost_centre vehicle_class odometer_km km_to_service days_to_service"
        " service_day",
        "vehicle_health_now",
        "km_to_service is not null",
        *VEHICLES,
        order="days_to_service nulls last, km_to_service, vehicle_id",
        empty="No odometer reading is known.",
        links={"vehicle_id": TO_VEHICLE},
    )
    condition = rows(
        "Low batteries and faults",
        about("On the newest day: a low battery, a fault or an alarm about power.", HEALTH),
        "vehicle_id city is_battery_low min_battery_pct min_external_voltage_v fault_codes_count"
        " power_alarms_count tamper_alarms_count",
        "vehicle_health_now",
        "(is_battery_low or fault_codes_count > 0 or power_alarms_count > 0)",
        *VEHICLES,
        order="fault_codes_count desc nulls last, min_battery_pct, vehicle_id",
        empty="Nothing to look at.",
        links={"vehicle_id": TO_VEHICLE},
    )
    return board(
        "maintenance-fuel",
        "Maintenance & fuel",
        "What needs a workshop, and what does driving cost?",
        BY_VEHICLE,
        [
            Shelf(11, [due, condition]),
            Shelf(
                8,
                [
                    kpi_trend("Fuel", "Litres burnt.", COST, "fuel.volume", "litre"),
                    kpi_trend("Consumption", "Litres per 100 km.", COST, "fuel.per_100km", "none"),
                    kpi_trend("CO2", "From fuel.", COST, "fuel.co2", "masskg"),
                ],
            ),
            Shelf(
                11,
                [
                    kpi_rows(
                        f"{domain}: all KPIs",
                        about("The newest day that is over, or why there is no value.", domain),
                        f"domain = '{domain}'",
                    )
                    for domain in (COST, HEALTH)
                ],
            ),
        ],
        time_from="now-30d/d",
    )
