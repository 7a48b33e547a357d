"""Maintenance & fuel: which vehicles need service, and what does driving cost?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import kpi_trend
from grafana.kit.panels import about, kpi_rows, rows
from grafana.kit.query import BY_VEHICLE, VEHICLES
from grafana.pages.daily_operations import COST
from grafana.pages.noc_live import HEALTH


def maintenance_fuel() -> Dashboard:
    due = rows(
        "Vehicles that need the workshop first",
        about(
            "Low batteries and fault codes first, then services: the soonest first, at the"
            " average distance of the last four weeks.",
            HEALTH,
        ),
        "vehicle_id service_status days_to_service service_day km_to_service odometer_km"
        " is_battery_low min_battery_pct min_external_voltage_v fault_codes_count"
        " power_alarms_count city vehicle_class driver_name",
        "vehicle_health_now",
        *VEHICLES,
        order="is_battery_low desc nulls last, fault_codes_count desc nulls last,"
        " days_to_service nulls last, km_to_service nulls last, vehicle_id",
        empty="No vehicle is known yet.",
    )
    return board(
        "maintenance-fuel",
        "Maintenance & fuel",
        "Which vehicles need service, and what does driving cost?",
        BY_VEHICLE,
        [
            Shelf(12, [due]),
            Shelf(
                8,
                [
                    kpi_trend("Fuel used", "Litres per day.", COST, "fuel.volume", "suffix:l", 0),
                    kpi_trend(
                        "Consumption, litres per 100 km",
                        "Fuel used on the distance driven.",
                        COST,
                        "fuel.per_100km",
                        "none",
                    ),
                    kpi_trend(
                        "Fuel burnt while idling",
                        "Litres per day, from the idle time.",
                        COST,
                        "fuel.idle_volume",
                        "suffix:l",
                        0,
                    ),
                ],
            ),
            Shelf(
                13,
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
