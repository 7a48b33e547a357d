"""Explains a KPI's value from gold: formula, rules, and the rows that it is made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from analyst.kpi.catalogue import Catalogue, Kpi, Relation, Unknown
from analyst.kpi.rules import Rule, rules_in

# Quantities that add up; km/h, per cent, degrees and odometers do not.
ADDITIVE = re.compile(r"(?<!odometer)_(km|s|l|count|cost)$")
YES_OR_NO = re.compile(r"^(is|has)_")
# Columns that say why a row counts or not. They are shown beside the columns that the mart reads.
REASONS = re.compile(rf"{YES_OR_NO.pattern}|_(km|s)$|^(kind|zone_id)$")
# Columns with the same value in all rows of one vehicle.
COMMON = {"imei", "vehicle_id", "day_start", "is_primary_device", "cost_centre"}

VEHICLE = """
    select
        vehicle.vehicle_id,
        vehicle.imei,
        coalesce(metrics.city, vehicle.city) as city,
        (
            select array_agg(other.imei order by other.imei)
            from dwh_gold.dim_vehicles as other
            where other.vehicle_id = vehicle.vehicle_id and not other.is_primary_device
        ) as other_imeis
    from dwh_gold.dim_vehicles as named
    inner join dwh_gold.dim_vehicles as vehicle
        on named.vehicle_id = vehicle.vehicle_id and vehicle.is_primary_device
    left join dwh_gold.fact_daily_fleet_metrics as metrics
        on vehicle.imei = metrics.imei and metrics.day = %(day)s
    where %(vehicle)s in (named.vehicle_id, named.vehicle_number, named.imei)
    limit 1
"""

REJECTIONS = """
    select day, scope_value as imei, source, reason, is_kept, records_count
    from dwh_gold.rejection_days
    where scope = 'device' and scope_value = any(%s) and day between %s and %s
    order by day, imei, source, reason, is_kept
"""

SUPERSEDED = """
    select
        day, imei, kind, start_time, end_time, source, distance_km, duration_s, reason,
        better_start_time, better_end_time, better_source
    from dwh_gold.superseded_reports
    where imei = any(%s) and day between %s and %s
    order by start_time, kind, source
"""


@dataclass(frozen=True)
class Rows:
    """The rows of a fact that the mart reads for one vehicle."""

    fact: str
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]

    def sums(self) -> dict[str, object]:
        """Return the sum of each additive column, and "2 true" for a yes/no column."""
        found: dict[str, object] = {}
        for column in self.columns:
            values = [row[column] for row in self.rows if row[column] is not None]
            if values and ADDITIVE.search(column):
                found[column] = sum(values)
            elif values and YES_OR_NO.match(column):
                found[column] = f"{sum(values)} true"
        return found


@dataclass(frozen=True)
class Explanation:
    """The value of a KPI for one vehicle on one day, and what it is made of."""

    vehicle_id: str
    imei: str
    other_imeis: Sequence[str]
    city: str
    value: Decimal | None
    before: Mapping[date, Decimal | None]  # the seven days before, as far as there are values
    rules: Sequence[Rule]
    first_day: date  # a weekly or monthly KPI adds up from here to the day
    facts: Sequence[Rows]
    rejections: Rows  # records of the vehicle's devices that arrived on these days and do not count
    superseded: Rows  # reports of trips and stops of these days that a better report replaces


def explain(
    connection: psycopg.Connection, catalogue: Catalogue, kpi: Kpi, vehicle: str, day: date
) -> Explanation:
    """Explain the value of `kpi` for `vehicle` (its id, plate or IMEI) on `day` (fleet time).

    Raises Unknown if gold has no such vehicle or day, or the KPI has no value per vehicle.
    """
    scopes = _scopes(connection, kpi)
    if "vehicle" not in scopes:
        raise Unknown(f"{kpi.kpi_id} per", "vehicle", scopes)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(VEHICLE.encode(), {"vehicle": vehicle, "day": day}).fetchone()
    if found is None:
        raise Unknown("vehicle, plate or IMEI", vehicle, _vehicles(connection))
    values = _values(connection, kpi, found["vehicle_id"])
    if day not in values:
        raise Unknown(f"{kpi.kpi_id} of {found['vehicle_id']} on", str(day), map(str, values))
    first_day = _first_day(kpi, day)
    imeis = [found["imei"], *(found["other_imeis"] or [])]
    return Explanation(
        vehicle_id=found["vehicle_id"],
        imei=found["imei"],
        other_imeis=found["other_imeis"] or [],
        city=found["city"],
        value=values[day],
        before={then: value for then, value in values.items() if 0 < (day - then).days <= 7},
        rules=rules_in(connection, kpi, found["city"]),
        first_day=first_day,
        facts=[
            _rows(connection, kpi.mart, fact, found["imei"], first_day, day)
            for fact in catalogue.facts_under(kpi.mart)
        ],
        rejections=_of_devices(connection, "rejection_days", REJECTIONS, imeis, first_day, day),
        superseded=_of_devices(connection, "superseded_reports", SUPERSEDED, imeis, first_day, day),
    )


def _scopes(connection: psycopg.Connection, kpi: Kpi) -> list[str]:
    query = sql.SQL("select distinct scope from {}").format(
        sql.Identifier(kpi.mart.schema, kpi.mart.name)
    )
    return [scope for (scope,) in connection.execute(query)]


def _vehicles(connection: psycopg.Connection) -> set[str]:
    query = "select vehicle_id, vehicle_number, imei from dwh_gold.dim_vehicles"
    return {name for row in connection.execute(query) for name in row if name}


def _values(
    connection: psycopg.Connection, kpi: Kpi, vehicle_id: str
) -> dict[date, Decimal | None]:
    query = sql.SQL(
        "select day, {} from {} where scope = 'vehicle' and scope_value = %s order by day"
    ).format(sql.Identifier(kpi.column), sql.Identifier(kpi.mart.schema, kpi.mart.name))
    return dict(connection.execute(query, [vehicle_id]).fetchall())


def _first_day(kpi: Kpi, day: date) -> date:
    if kpi.meta["cadence"] == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kpi.meta["cadence"] == "monthly" else day


def _of_devices(
    connection: psycopg.Connection,
    table: str,
    query: str,
    imeis: Sequence[str],
    first_day: date,
    day: date,
) -> Rows:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.encode(), [imeis, first_day, day]).fetchall()
    return Rows(table, tuple(column.name for column in cursor.description or ()), rows)


def _rows(
    connection: psycopg.Connection,
    mart: Relation,
    fact: Relation,
    imei: str,
    first_day: date,
    day: date,
) -> Rows:
    read = set(re.findall(r"\w+", mart.code)) | set(fact.key)
    common = COMMON | ({"day"} if first_day == day else set())
    columns = tuple(
        column
        for column in fact.columns
        if column not in common and (column in read or REASONS.search(column))
    )
    template = "select {} from {} where imei = %s and day between %s and %s order by {}"
    query = sql.SQL(template).format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(fact.schema, fact.name),
        sql.SQL(", ").join(map(sql.Identifier, fact.key)),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query, [imei, first_day, day]).fetchall()
    return Rows(fact.name, columns, rows)
