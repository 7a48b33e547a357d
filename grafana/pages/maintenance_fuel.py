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
        "Next services",
        about("Due dates at the average distance of the last four weeks, soonest first.", HEALTH),
        "vehicle_id city vehicle_class odometer_km km_to_service days_to_service service_day",
        "vehicle_health_now",
        "km_to_service is not null",
        *VEHICLES,
        order="days_to_service nulls last, km_to_service, vehicle_id",
        empty="No odometer reading is known.",
    )
    condition = rows(
        "Low batteries and faults",
        about(
            "Vehicles with a low battery, a fault code or a power alarm on the newest day.", HEALTH
        ),
        "vehicle_id city is_battery_low min_battery_pct min_external_voltage_v fault_codes_count"
        " power_alarms_count tamper_alarms_count",
        "vehicle_health_now",
        "(is_battery_low or fault_codes_count > 0 or power_alarms_count > 0)",
        *VEHICLES,
        order="fault_codes_count desc nulls last, min_battery_pct, vehicle_id",
        empty="No vehicle has a low battery, a fault code or a power alarm.",
    )
    return board(
        "maintenance-fuel",
        "Maintenance & fuel",
        "Which vehicles need service, and what does driving cost?",
        BY_VEHICLE,
        [
            Shelf(11, [due, condition]),
            Shelf(
                8,
                [
                    kpi_trend("Fuel", "Litres used.", COST, "fuel.volume", "suffix:l"),
                    kpi_trend("Consumption", "Litres per 100 km.", COST, "fuel.per_100km", "none"),
                    kpi_trend("CO2", "CO2 from fuel.", COST, "fuel.co2", "suffix:kg"),
                ],
            ),
            Shelf(
                11,
                [
                    kpi_rows(
                        f"{domain}: all KPIs",
                        about("Values of the newest complete day, or why there is none.", domain),
                        f"domain = '{domain}'",
                    )
                    for domain in (COST, HEALTH)
                ],
            ),
        ],
        time_from="now-30d/d",
    )
