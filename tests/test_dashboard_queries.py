"""Runs every dashboard query as Grafana sends it and as grafana_ro, on an empty database and on a
fleet's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from typing import Any

import psycopg
import pytest
from conftest import NOW
from psycopg.rows import tuple_row

from grafana.kit.columns import unit_of
from grafana.kit.expand import Values, expand
from grafana.kit.files import ALL_QUERIES, PanelQuery

START = datetime.fromtimestamp(NOW, UTC) - timedelta(days=6)  # the first day of the fleet's data
NUMBERS = {"int2", "int4", "int8", "float4", "float8", "numeric"}
TIMES = {"timestamptz", "date"}
# Panels without rows in the test fleet, or whose table only the running service writes.
MAY_BE_EMPTY = {
    "Rejected records",
    "Records that do not count, and why",
    "Pushes waiting",
    "Failed requests per hour",
    "Jobs of the service",
    "Failed builds and checks",
    "Tables, slowest to build first",
    "Age of each kind of data",
    "Open jobs",
    "Idle now",
    "Needs somebody now",
    "Outside assigned city",
    "Speeding now",
    "${headline}",
    "Alarms of the last 30 days",
    "Alarms of high and medium severity",
    "Alarms of low severity",
    "Trend: ${kpi}",
}
# Tables that grow with time or with the fleet: panels must read them through an index.
LARGE = re.compile(
    r"position_history|trips|parking_events|alarms|ingestion_log|rejected_records|fact_\w+"
    r"|kpi_values|kpi_\w+_daily|vehicle_states|alarm_days|api_calls_hourly|location_list"
    r"|dbt_run_history"
)


@contextmanager
def reading(connection: psycopg.Connection) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor with the rights of grafana_ro."""
    connection.execute("set role grafana_ro")
    try:
        yield connection.cursor(row_factory=tuple_row)
    finally:
        connection.execute("reset role")


def choices(connection: psycopg.Connection) -> dict[str, Values]:
    """Values of variables: all, one, many, and names with quotes (SQL injection)."""
    known = {
        name: [*map(itemgetter(0), connection.execute(f"select distinct {column} from {table}"))]
        or ["nobody"]
        for name, column, table in (
            ("city", "city", "dwh_gold.dim_vehicles"),
            ("cost_centre", "cost_centre", "dwh_gold.dim_vehicles"),
            ("vehicle", "vehicle_id", "dwh_gold.dim_vehicles"),
            ("driver", "driver_name", "dwh_gold.dim_drivers"),
            ("headline", "kpi_id", "dwh_gold.kpi_register where headline_rank is not null"),
            ("map_city", "city", "dwh_gold.dim_zones where kind = 'city'"),
        )
    }
    return {
        "all": dict.fromkeys(known),
        "one": {name: sorted(values)[:1] for name, values in known.items()},
        "many": {name: values[:50] for name, values in known.items()},
        "quotes": {name: ["O'Brien", "'); select 1; --", '"x"'] for name in known},
    }


def until_now() -> tuple[datetime, datetime]:
    """START until now; computed per call, because API calls are recorded while the tests run."""
    return START, datetime.now(UTC)


def answer(cursor: psycopg.Cursor[Any], query: PanelQuery, values: Values) -> list[tuple[Any, ...]]:
    sql = expand(query.sql, {**values, "kpi": ["fleet.utilisation"]}, *until_now())
    try:
        return cursor.execute(sql.encode()).fetchall()
    except psycopg.Error as error:
        raise AssertionError(f"{query}: {error}\n{sql}") from error


def column_types(cursor: psycopg.Cursor[Any]) -> dict[str, str]:
    """Column name -> PostgreSQL type name, for the cursor's last result."""
    names = psycopg.adapters.types
    return {c.name: t.name if (t := names.get(c.type_code)) else "?" for c in cursor.description}


def assert_columns_fit_panel(query: PanelQuery, types: dict[str, str]) -> None:
    """The result has the columns, types and units that this kind of panel needs."""
    listed = list(types)
    assert len(listed) == len(set(listed)), query
    if query.form == "time_series":
        assert listed[0] == "time", query
        assert types["time"] == "timestamptz", query
        numbers = [name for name in listed if types[name] in NUMBERS]
        assert len(numbers) == 1, f"{query}: {types}"
        assert set(listed) - {"time", "metric", "place", *numbers} == set(), query
        assert query.panel["fieldConfig"]["defaults"]["unit"], query
    elif query.kind == "geomap":
        assert {types["latitude"], types["longitude"]} == {"numeric"}, query
    elif query.panel.get("transformations"):
        assert {name for name in listed if types[name] == "text"} <= {"label", "unit"}, query
    elif query.kind in ("table", "stat"):
        for name in listed:
            needs_unit = types[name] in NUMBERS | TIMES
            assert (unit_of(name) is not None) == needs_unit, f"{query}: {name} {types[name]}"
    shown = {
        o["matcher"]["options"]
        for o in query.panel.get("fieldConfig", {}).get("overrides", [])
        if o["matcher"]["id"] == "byName"
    }
    if query.kind in ("table", "stat") and shown:
        assert shown == set(listed), query


def test_queries_on_a_fleet(gold: psycopg.Connection) -> None:
    answered: set[str] = set()
    with reading(gold) as cursor:
        for values in choices(gold).values():
            for query in ALL_QUERIES:
                found = answer(cursor, query, values)
                assert_columns_fit_panel(query, column_types(cursor))
                if query.form == "time_series":
                    assert all(a[0] <= b[0] for a, b in pairwise(found)), query
                if found:
                    answered.add(query.title)
    assert {query.title for query in ALL_QUERIES} - answered <= MAY_BE_EMPTY


def test_queries_before_the_first_poll(empty: psycopg.Connection) -> None:
    with reading(empty) as cursor:
        for values in choices(empty).values():
            for query in ALL_QUERIES:
                found = answer(cursor, query, values)
                assert_columns_fit_panel(query, column_types(cursor))
                if query.kind == "variable" and query.title != "kpi":
                    assert found, f"{query}: no row, so Grafana's All would be an empty list"


def test_chosen_city_shows_no_other_city_and_quotes_are_harmless(gold: psycopg.Connection) -> None:
    every = choices(gold)
    with reading(gold) as cursor:
        for query in (query for query in ALL_QUERIES if "city:sqlstring" in query.sql):
            if query.kind == "variable":
                continue
            some = answer(cursor, query, {**every["all"], "city": ["Mombasa"]})
            columns = list(column_types(cursor))
            cities = {"Mombasa"}
            if "All cities" in query.sql:
                cities.add("All cities")  # faults of the service concern every city
            if "city" in columns:
                assert {row[columns.index("city")] for row in some} <= cities, query
            for row in answer(cursor, query, every["quotes"]):
                assert row[columns.index("city")] == "All cities", query


def test_no_panel_scans_a_large_table(gold: psycopg.Connection) -> None:
    """Every scan of a growing table uses an index condition.

    PostgreSQL would scan these small tables anyway, so sequential scans are switched off here.
    benchmarks/dashboards.py checks the plans for a year of 10,000 vehicles.
    """
    if gold.info.server_version < 170000:
        pytest.skip("PostgreSQL 16 scans the whole index of such a small table, too")
    every = choices(gold)
    with reading(gold) as cursor:
        cursor.execute("set enable_seqscan = off")
        for query in ALL_QUERIES:
            for choice in ("all", "one"):
                values = {**every[choice], "kpi": ["fleet.utilisation"]}
                sql = expand(query.sql, values, *until_now())
                ((plan,),) = cursor.execute(f"explain (format json) {sql}".encode()).fetchall()
                for node in plan_nodes(plan[0]["Plan"]):
                    table = node.get("Relation Name", "")
                    if LARGE.fullmatch(table) and node["Node Type"] != "Bitmap Heap Scan":
                        assert "Index Cond" in node, f"{query}: {node['Node Type']} on {table}"
        cursor.execute("reset enable_seqscan")


def plan_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes but those of a subquery for the newest row, which stops at the first row."""
    if plan["Node Type"] == "Limit" and plan.get("Parent Relationship") == "InitPlan":
        return
    yield plan
    for below in plan.get("Plans", []):
        yield from plan_nodes(below)
