"""Facts computed from consecutive fixes: any order of arrival equals a full refresh.

Many devices drive at random through zones and over midnight. The fixes of each device arrive in an
order of their own.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from databases import Databases
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

DEVICES, FIXES, LOADS = 150, 25, 4
EVENING = datetime(2026, 4, 12, 18, tzinfo=UTC)  # three hours before midnight, fleet time
DEPOT, NAIROBI, NOWHERE, MOMBASA = (-1.237, 36.727), (-1.29, 36.82), (-2.0, 37.5), (-4.05, 39.67)
STEPS_S = (10, 20, 60, 1200, 4000, 8000, 90_000)  # some longer than fresh_fix_age, two hours
FACTS = ("fact_zone_visits", "fact_driving_events", "fact_hourly_trail")
RUN = ["run", "--select", *(f"+{fact}" for fact in FACTS)]

Row = tuple[str, datetime, str, str]
"""imei, fetched_at, record_id, body."""


def drive(chance: random.Random, imei: str) -> Iterator[Row]:
    """Fixes of one device in order of time; some have a second, different copy."""
    at, place = EVENING + timedelta(seconds=chance.randrange(3600)), DEPOT
    for number in range(FIXES):
        at += timedelta(seconds=chance.choice(STEPS_S))
        if chance.random() < 0.4:
            place = chance.choice((DEPOT, NAIROBI, NOWHERE, MOMBASA))
        for copy in range(1 + (chance.random() < 0.1)):
            body = {
                "gpsTime": at.strftime("%Y-%m-%d %H:%M:%S"),
                "lat": place[0],
                "lng": place[1] + 0.1 * copy,
                "gpsSpeed": chance.choice((0, 50, 90, 120)),
                "direction": chance.randrange(360),
            }
            fetched_at = at + timedelta(minutes=30 + copy)
            yield imei, fetched_at, f"{imei}/{number}/{copy}", json.dumps(body)


def assign_loads(chance: random.Random, fixes: list[Row]) -> list[int]:
    """The load number of each fix: in order, with one late stretch, or fully random."""
    in_order = [number * LOADS // len(fixes) for number in range(len(fixes))]
    match chance.randrange(3):
        case 0:
            return in_order
        case 1:
            first, last = sorted(chance.sample(range(len(fixes)), 2))
            late = chance.randrange(LOADS)
            return [late if first <= n <= last else load for n, load in enumerate(in_order)]
        case _:
            return [chance.randrange(LOADS) for _ in fixes]


def land(connection: psycopg.Connection, table: str, load: int, rows: list[Row]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"insert into raw.{table} (imei, fetched_at, record_id, body, request, _dlt_load_id)"
            f" values (%s, %s, %s, %s, '{{}}', '{load}')".encode(),
            rows,
        )


def contents(connection: psycopg.Connection) -> dict[str, set[str]]:
    return {
        fact: {
            row for (row,) in connection.execute(f"select t::text from dwh_gold.{fact} t".encode())
        }
        for fact in FACTS
    }


@pytest.mark.parametrize("examples", [1, pytest.param(2, marks=pytest.mark.long)])
def test_any_arrival_of_fixes_equals_a_full_refresh(
    databases: Databases, work_dir: Path, examples: int
) -> None:
    @settings(max_examples=examples, phases=[Phase.generate])
    @given(seed=st.integers(0, 2**32))
    def holds(seed: int) -> None:
        built = databases.built_empty(work_dir)
        with dbt_runner.in_one_process(built.settings, built.database):
            assert_full_refresh_changes_nothing(built.settings, built.database, seed)

    holds()


def assert_full_refresh_changes_nothing(project: Settings, database: Database, seed: int) -> None:
    chance = random.Random(seed)
    trails: list[list[Row]] = [[] for _ in range(LOADS)]
    drivers: list[list[Row]] = [[] for _ in range(LOADS)]
    for number in range(DEVICES):
        imei = f"8600000000{number:05}"
        fixes = list(drive(chance, imei))
        for load, fix in zip(assign_loads(chance, fixes), fixes, strict=True):
            trails[load].append(fix)
        for driver in ("Otieno", "Achieng"):
            body = json.dumps({"imei": imei, "deviceName": imei, "driverName": driver})
            fetched_at = EVENING + timedelta(hours=chance.randrange(20))
            row = imei, fetched_at, f"{imei}/{driver}", body
            drivers[chance.randrange(LOADS)].append(row)
    with database.connect() as connection:
        for load in range(LOADS):
            land(connection, "track_list", load, trails[load])
            land(connection, "device_list", load, drivers[load])
            connection.execute(
                "insert into raw._dlt_loads values (%s, 'x', 0, now(), 'h')", [str(load)]
            )
            dbt_runner.run(project, database, RUN, lambda *_: None)
        incremental = contents(connection)
        dbt_runner.run(project, database, [*RUN, "--full-refresh"], lambda *_: None)
        full = contents(connection)
    for fact in FACTS:
        assert len(full[fact]) > 4 * DEVICES
        assert sorted(incremental[fact] ^ full[fact])[:10] == [], (fact, seed)
