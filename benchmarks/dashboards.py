"""Times every dashboard panel on a year of 10,000 vehicles, in 8 sessions, while data loads.

VEHICLES and DAYS in the environment make it smaller. The tables that panels read are generated, not
built, in the sizes that builds would give them.
"""

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.common import Result, scratch_database
from benchmarks.panel_sql import VEHICLES, sql_of
from grafana.kit.files import ALL_QUERIES, PanelQuery
from loader.landing import Landing
from operations.service.jobs import FIRST_BUILD
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

DAYS = int(os.environ.get("DAYS", "365"))
SESSIONS = 8
QUERIES_PER_SESSION = 200
THINKING_S = 0.4  # mean pause between two queries of a session
LARGE = 100_000  # rows of a table that no panel may scan as a whole
FILL = Path(__file__).with_suffix(".sql")

LOAD_INTERVAL_S = 5  # LOAD runs twelve times as often as real sweeps

# The writes of an intraday build, then those of a sweep.
LOAD = """
    update dwh_gold.fact_daily_fleet_metrics set distance_km = distance_km + 1
    where day = (select max(day) from dwh_gold.dim_dates);
    update dwh_gold.kpi_values set value = value + 1
    where day = (select max(day) from dwh_gold.dim_dates);

    insert into raw.location_list (body, imei, request, fetched_at, record_id, _dlt_load_id)
    select
        json_build_object(
            'imei', imei, 'deviceName', 'AT4', 'mcType', 'AT4', 'status', '1', 'posType', 'GPS',
            'lat', latitude, 'lng', longitude, 'hbTime', gps_time, 'accStatus', '1',
            'gpsSignal', '4', 'powerValue', null, 'batteryPowerVal', '4.02', 'speed', '46',
            'gpsNum', '13', 'direction', '8', 'expireFlag', '1', 'electQuantity', '',
            'locDesc', null, 'distance', '-1', 'currentMileage', '192015.387740', 'iccid', imei,
            'gpsTime', to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
        ),
        imei, '{}', now(), imei, extract(epoch from now())::text
    from tracksolid.newest_fixes;
    insert into raw._dlt_loads (load_id, status, inserted_at)
    values (extract(epoch from now())::text, 0, now());
    select tracksolid.keep_newest_fixes();
"""


def run() -> list[Result]:
    with scratch_database() as (database, folder):
        fill(database, folder)
        queries = [query for query in ALL_QUERIES if query.kind != "variable"]
        with database.connect() as connection:
            scans = sequential_scans(connection, queries)
            alone = measure(connection, queries * 3, random.Random(1), thinking_s=0)
        together = with_sessions(database, queries)
    every = sorted(took for panel in together.values() for took in panel)
    slowest = sorted(together, key=lambda panel: percentile(sorted(together[panel]), 0.95))[-5:]
    return [
        Result(f"vehicles, {DAYS} days", VEHICLES),
        Result("queries answered", len(every)),
        *(
            Result(
                f"p{100 * share:.0f}, {SESSIONS} sessions while data loads, ms",
                percentile(every, share),
                target,
            )
            for share, target in ((0.5, ""), (0.95, "<= 50"), (0.99, ""))
        ),
        Result(
            "p95, one session and no load, ms",
            percentile(sorted(t for p in alone.values() for t in p), 0.95),
        ),
        Result(f"sequential scans over {LARGE:,} rows", len(scans), "0"),
        *(Result(f"  {scan}", 1) for scan in scans),
        *(
            Result(f"  p95 of {panel}, ms", percentile(sorted(together[panel]), 0.95))
            for panel in reversed(slowest)
        ),
    ]


def fill(database: Database, folder: Path) -> None:
    """Let dbt build empty gold, then insert the generated rows."""
    settings = Settings(work_dir=folder / "work", database_url=None)
    Landing(database, settings.work_dir).prepare()
    dbt_runner.run(settings, database, FIRST_BUILD, lambda *_: None)
    with database.connect() as connection:
        cursor = psycopg.ClientCursor(connection)  # several statements with parameters
        cursor.execute(FILL.read_bytes(), {"vehicles": VEHICLES, "days": DAYS})
        connection.execute("vacuum analyze")


def measure(
    connection: psycopg.Connection,
    queries: list[PanelQuery],
    chance: random.Random,
    thinking_s: float = THINKING_S,
) -> dict[str, list[float]]:
    """Milliseconds of each query, by panel."""
    took_ms = defaultdict(list)
    for query in queries:
        sql = sql_of(query, chance)
        began = time.perf_counter()
        connection.execute(sql).fetchall()
        took_ms[str(query)].append((time.perf_counter() - began) * 1000)
        time.sleep(chance.random() * 2 * thinking_s)
    return took_ms


def with_sessions(database: Database, queries: list[PanelQuery]) -> dict[str, list[float]]:
    """Milliseconds of each query, by panel, in SESSIONS sessions while another one loads data."""
    found: dict[str, list[float]] = defaultdict(list)
    done = threading.Event()

    def load() -> None:
        with database.connect() as connection:
            while not done.wait(LOAD_INTERVAL_S):
                connection.execute(LOAD.encode())

    def use_dashboards(number: int) -> None:
        chance = random.Random(number)
        with database.connect() as connection:
            # The first round only warms up the caches.
            measure(connection, chance.sample(queries, len(queries)), chance, thinking_s=0)
            picked = chance.choices(queries, k=QUERIES_PER_SESSION)
            for panel, took in measure(connection, picked, chance).items():
                found[panel] += took

    loader = threading.Thread(target=load)
    sessions = [threading.Thread(target=use_dashboards, args=(n,)) for n in range(SESSIONS)]
    loader.start()
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    done.set()
    loader.join()
    return found


def sequential_scans(connection: psycopg.Connection, queries: list[PanelQuery]) -> list[str]:
    """Panel and table, where the plan scans a large table sequentially."""
    found = set()
    chance = random.Random(0)
    for query in queries * 3:
        plan: Any = connection.execute(b"explain (format json) " + sql_of(query, chance)).fetchone()
        for node in plan_nodes(plan[0][0]["Plan"]):
            if node["Node Type"] == "Seq Scan":
                rows = connection.execute(
                    "select reltuples from pg_class where relname = %s", [node["Relation Name"]]
                ).fetchone()
                if rows and rows[0] > LARGE:
                    found.add(f"{query}: {node['Relation Name']}")
    return sorted(found)


def plan_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan of `explain (format json)`."""
    yield plan
    for below in plan.get("Plans", []):
        yield from plan_nodes(below)


def percentile(ordered: list[float], share: float) -> float:
    """The value below which a share (0 to 1) of the sorted values lies."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
