"""The fleet baseline as Markdown, from dwh_gold: the state of every device at this moment."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from analyst.docs.framework import table
from analyst.values import DASH, number

FRESHNESS = ("fresh", "stale", "silent", "never_reported")
DEVICES = "select * from dwh_gold.devices_now order by city = 'Unassigned', city, device_name, imei"
ENDPOINTS = "select * from dwh_gold.api_endpoints_now order by endpoint"
KPIS = "select kpi_status, count(*) from dwh_gold.kpi_register group by 1 order by 1"
RULES = """
    select count(distinct (rule, city)) filter (where is_agreed),
        count(distinct (rule, city)) filter (where not is_agreed and value is not null),
        count(distinct (rule, city)) filter (where value is null)
    from dwh_gold.kpi_rules
"""
ZONES = """
    select kind, count(*), count(*) filter (where is_assumed)
    from dwh_gold.dim_zones group by kind order by kind
"""
GAPS = (
    ("driver name", "has_driver_name", "set it in Tracksolid; the nightly sync copies it"),
    ("plate", "has_plate", "set it in Tracksolid; the nightly sync copies it"),
    ("assigned city", "has_assigned_city", "fill the seed vehicles.csv"),
    ("cost centre", "has_cost_centre", "fill the seed vehicles.csv"),
    ("fuel norm", "has_fuel_norm", "fill the seed vehicles.csv"),
)
DeviceNow = Mapping[str, Any]


def baseline(connection: psycopg.Connection, now: datetime, configured: Mapping[str, str]) -> str:
    """Return the report as Markdown.

    `now` is in the fleet's zone. `configured` maps the name of each setting to its value as text.
    """
    devices = _rows(connection, DEVICES)
    newest = max((d["gps_time"] for d in devices if d["gps_time"]), default=None)
    data = f"newest fix {newest.astimezone(now.tzinfo):%Y-%m-%d %H:%M}" if newest else "no fix yet"
    return (
        "\n\n".join(
            (
                f"# Fleet baseline, {now:%Y-%m-%d %H:%M} {now.tzname()}",
                f"{len(devices)} registered devices; {data}.",
                "## Devices by city",
                _by_city(devices),
                "The operating rules `fresh_fix_age` and `alert_silence` say what is fresh, stale"
                " and silent. A device that never reported has no fix at all.",
                "## Not filled in",
                _gaps(devices),
                "## Near service",
                _near_service(devices),
                "## Anomalies",
                _anomalies(devices),
                "## Silent and never reported",
                _silent_devices(devices),
                "## Configured",
                _configured(connection, devices, configured),
            )
        )
        + "\n"
    )


def _by_city(devices: Sequence[DeviceNow]) -> str:
    def row(name: str, some: Sequence[DeviceNow]) -> tuple[object, ...]:
        counts = (sum(d["freshness"] == kind for d in some) for kind in FRESHNESS)
        return (name, len(some), *counts)

    cities = dict.fromkeys(device["city"] for device in devices)
    titles = (f"{kind.replace('_', ' ').capitalize()}:" for kind in FRESHNESS)
    return table(
        ("City", "Registered:", *titles),
        [
            *(row(city, [d for d in devices if d["city"] == city]) for city in cities),
            row("**Fleet**", devices),
        ],
    )


def _gaps(devices: Sequence[DeviceNow]) -> str:
    rows = ((name, sum(not d[has] for d in devices), len(devices), how) for name, has, how in GAPS)
    return table(("Field", "Missing:", "Of:", "What to do"), rows)


def _near_service(devices: Sequence[DeviceNow]) -> str:
    near = sorted((d for d in devices if d["is_near_service"]), key=lambda d: d["km_to_service"])
    rows = (
        (d["vehicle_id"], d["city"], number(d["odometer_km"]), number(d["km_to_service"]))
        for d in near
    )
    empty = "No vehicle is within the operating rule `alert_service_distance` of its next service."
    nearest = _table_or(("Vehicle", "City", "Odometer, km:", "km to service:"), rows, empty)
    measured = [d for d in devices if d["odometer_km"] is not None]
    highest = sorted(measured, key=lambda d: d["odometer_km"], reverse=True)[:5]
    tops = ((d["vehicle_id"], d["city"], number(d["odometer_km"])) for d in highest)
    most = _table_or(("Highest odometers", "City", "km:"), tops, "No odometer has been reported.")
    return f"{nearest}\n\n{most}"


def _anomalies(devices: Sequence[DeviceNow]) -> str:
    header = ("Device", "IMEI", "Latitude:", "Longitude:", "Is in", "Expected in")
    abroad = (
        (*_named(d), d["latitude"], d["longitude"], d["country"] or "elsewhere",
         d["expected_country"])
        for d in devices
        if d["is_in_unexpected_country"]
    )  # fmt: skip
    astray = (
        (*_named(d), d["latitude"], d["longitude"], d["current_city"] or "no city", d["city"])
        for d in devices
        if d["is_outside_city"] and not d["is_in_unexpected_country"]
    )
    return "\n\n".join(
        (
            "Devices in an unexpected country, by coarse outlines of the countries. The expected"
            " country is that of the assigned city; without one, that of most devices.",
            _table_or(header, abroad, "None."),
            "Devices outside their assigned city:",
            _table_or(header, astray, "None."),
        )
    )


def _silent_devices(devices: Sequence[DeviceNow]) -> str:
    rows = (
        (*_named(d), d["city"], d["freshness"].replace("_", " "), _days(d["fix_age_s"]))
        for d in devices
        if d["freshness"] in ("silent", "never_reported")
    )
    header = ("Device", "IMEI", "City", "State", "Days since its last fix:")
    return _table_or(header, rows, "None.")


def _configured(
    connection: psycopg.Connection, devices: Sequence[DeviceNow], configured: Mapping[str, str]
) -> str:
    accounts = dict.fromkeys(d["account"] for d in devices if d["account"])
    agreed, assumed, unknown = connection.execute(RULES.encode()).fetchall()[0]
    kpis = ", ".join(
        f"{n} {status.replace('_', ' ')}" for status, n in connection.execute(KPIS.encode())
    )
    zones = ", ".join(
        f"{n} {kind} ({open_} not agreed)" for kind, n, open_ in connection.execute(ZONES.encode())
    )
    facts = {
        **configured,
        "Accounts with devices": ", ".join(sorted(accounts)) or "none",
        "Operating rules": f"{agreed} agreed, {assumed} assumed, {unknown} without a value",
        "KPIs": kpis or "none",
        "Zones": zones or "none",
    }
    calls = (
        (e["endpoint"], e["calls_count"], number(e["failed_calls_pct"], 1), _days(
            e["last_success_age_s"]))
        for e in _rows(connection, ENDPOINTS)
    )  # fmt: skip
    header = ("Endpoint", "Calls in 7 days:", "Failed, %:", "Days since its last success:")
    return "\n\n".join(
        (table(("What", "Value"), facts.items()), _table_or(header, calls, "No API call yet."))
    )


def _table_or(header: Iterable[str], rows: Iterable[Iterable[object]], empty: str) -> str:
    known = list(rows)
    return table(header, known) if known else empty


def _named(device: DeviceNow) -> tuple[str, str]:
    return (device["device_name"] or device["vehicle_id"], device["imei"])


def _days(seconds: int | None) -> str:
    return DASH if seconds is None else number(seconds / 86400, 1)


def _rows(connection: psycopg.Connection, query: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()
