"""Measures `orchestrate.py run` on a moving fleet and an API that fails in 1 % of all calls.

VEHICLES and MINUTES set the fleet size and the duration; MINUTES=1440 is one day. SPEED=4 makes all
clocks four times faster (benchmarks/clock.py), so that a day takes six hours. The work itself is
not faster, so the measured lags are upper bounds. Two cores suffice for SPEED=4 with 10,000
vehicles; from SPEED=12 on, sweeps are late. The product's settings apply: use POLL_TRAIL=false for
10,000 vehicles (docs/SCALING.md).
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import clock
from benchmarks.common import Result, scratch_database
from benchmarks.sweep import stand_in
from settings import ROOT, Settings
from warehouse.database import Database

VEHICLES = int(os.environ.get("VEHICLES", "10000"))
MINUTES = float(os.environ.get("MINUTES", "15"))
SPEED = float(os.environ.get("SPEED", "1"))
FAULTS = [f"*:{fault}:0.0025" for fault in ("rate_limited", "http_500", "reset", "cut_off")]

# True once a build has read the first load of the slowest poll.
CAUGHT_UP = """
    select 1
    from dwh_gold.job_runs as build
    inner join dwh_gold.job_runs as poll on poll.job = %s
    where
        build.job = 'build'
        and build.status = 'ok'
        and build.rows > 0
        and build.started_at > poll.succeeded_at
"""
# How old fixes were when their load was complete, which is when the live views show them, and when
# the build that read the load had finished. Only fixes since the start of the measurement count.
FRESHNESS = """
    with fix as (
        select
            imei,
            (body::jsonb ->> 'gpsTime' || 'Z')::timestamptz as gps_time,
            min(_dlt_load_id) as load_id
        from raw.location_list
        where
            -- A sample of about 1,000 vehicles.
            abs(hashtext(imei)) %% %(vehicles)s < 1000
            and body::jsonb ->> 'gpsTime' <> ''
        group by 1, 2
        having (body::jsonb ->> 'gpsTime' || 'Z')::timestamptz > %(since)s
    ),

    built as (
        select run_id as invocation_id, max(finished_at) as finished_at
        from dwh_gold.dbt_run_history
        group by 1
    ),

    lag as (
        select
            extract(epoch from landed.inserted_at - fix.gps_time)::float8 as live_s,
            extract(epoch from built.finished_at - fix.gps_time)::float8 as built_s
        from fix
        inner join raw._dlt_loads as landed using (load_id)
        left join tracksolid.offered_loads as offered
            on fix.load_id = offered.load_id
        left join tracksolid.builds as build using (build_id)
        left join built using (invocation_id)
    )

    select
        percentile_cont(array[0.5, 0.99]) within group (order by live_s),
        percentile_cont(array[0.5, 0.99]) within group (order by built_s)
    from lag
"""
CALLS = """
    select
        count(*),
        count(*) filter (where code = '0'),
        count(distinct (account, date_trunc('minute', started_at)))
            filter (where code = '0' and endpoint = 'location_list'),
        count(distinct account) filter (where endpoint = 'location_list')
    from raw.api_calls where started_at > %(since)s
"""
ROWS = "select count(*) from raw.location_list"


def run() -> list[Result]:
    if (code := clock.run_again(SPEED)) is not None:
        sys.exit(code)
    options = [part for fault in FAULTS for part in ("--fault", fault)]
    with (
        scratch_database() as (database, folder),
        stand_in(folder, VEHICLES, "--days", "0", *options) as given,
    ):
        environment = os.environ | {name.upper(): str(value) for name, value in given.items()}
        environment |= {
            "DATABASE_URL": database.url,
            "WORK_DIR": str(folder / "work"),
            "SPOOL_PATH": str(folder / "spool.sqlite"),
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "orchestrate.py"), "run"],
                env=environment,
                stderr=log,
            )
            try:
                since, spent_s, most_mb = _watch(process, folder, database)
            finally:
                process.terminate()
                process.wait()
        with database.connect() as connection:
            live, built = connection.execute(
                FRESHNESS, {"since": since, "vehicles": VEHICLES}
            ).fetchone() or ((), ())
            calls, good, swept, accounts = connection.execute(CALLS, {"since": since}).fetchone()
            rows = connection.execute(ROWS).fetchone()[0]
    return [
        Result(f"{VEHICLES:,} vehicles, {MINUTES:g} minutes: fix to live view, p50, s", live[0]),
        Result("  p99, s", live[1]),
        Result("  fix to gold's facts, p50, s", built[0]),
        Result("  p99, s", built[1]),
        Result("  missed sweeps, over all accounts", int(MINUTES) * accounts - swept, "0"),
        Result("  API calls per minute", calls / MINUTES),
        Result("  of which failed, %", 100 * (calls - good) / calls, "1 (injected)"),
        Result("  fixes landed by sweeps", rows),
        Result("  CPU of orchestrator and dbt, cores", spent_s[0] / MINUTES / 60),
        Result("  CPU of PostgreSQL, cores", spent_s[1] / MINUTES / 60),
        Result("  peak memory of orchestrator and dbt, MB", most_mb),
    ]


def _watch(
    process: subprocess.Popen[bytes], folder: Path, database: Database
) -> tuple[datetime, tuple[float, float], float]:
    """Wait until the service has caught up, then measure it for MINUTES.

    Returns the start of the measurement, the CPU seconds of the orchestrator and of PostgreSQL, and
    the highest memory of orchestrator and dbt in MB.
    """
    orchestrator = psutil.Process(process.pid)
    pid_file = folder / "postgres" / "postmaster.pid"
    postgres = psutil.Process(int(pid_file.read_text().split()[0]))
    with database.connect() as connection:
        slowest = "track_list" if Settings().poll_trail else "track_mileage"
        while connection.execute(CAUGHT_UP, [slowest]).fetchone() is None:
            assert process.poll() is None, (folder / "log").read_text()[-4000:]
            time.sleep(1)
    since, began = datetime.now(UTC), (_spent_s(orchestrator), _spent_s(postgres))
    most_mb, deadline = 0.0, time.monotonic() + MINUTES * 60
    while time.monotonic() < deadline:
        family = [orchestrator, *orchestrator.children(recursive=True)]
        with suppress(psutil.NoSuchProcess):
            most_mb = max(most_mb, sum(each.memory_info().rss for each in family) / 2**20)
        time.sleep(1)
    spent_s = (_spent_s(orchestrator) - began[0], _spent_s(postgres) - began[1])
    return since, spent_s, most_mb


def _spent_s(process: psutil.Process) -> float:
    """CPU seconds of a process, its finished children and its running children."""
    times = process.cpu_times()
    spent_s = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            mine = child.cpu_times()
            spent_s += mine.user + mine.system
    return float(spent_s)
