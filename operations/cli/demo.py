"""The whole way on one machine: sandbox, loader, dbt, and yesterday's fleet on the terminal."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import requests
from dotenv import dotenv_values
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import logs
from loader.drain import drain
from loader.landing import Landing
from loader.poll import Loader, Summary
from operations.cli.command import chosen_database
from operations.cli.progress import progress_bars
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import Database, DatabaseError
from webhook.spool_reader import SpoolReader

NAMES = {False: "fireside_demo", True: "fireside_traces"}
REGISTERS = ("child_list", "device_list", "device_detail", "location_list", "fence_list")
ONCE = (
    "devices",
    "position_history",
    "trips",
    "parking_events",
    "alarms",
    "heartbeats",
    "obd_readings",
    "fuel_readings",
    "temperature_readings",
    "device_events",
)
START_TIMEOUT_S = 60

# The newest day that is over, or, of recordings, the last day with a trip.
YESTERDAY = """
    select coalesce(
        max(day) filter (where day < (now() at time zone %(zone)s)::date),
        max(day)
    )
    from dwh_gold.fact_daily_fleet_metrics
    where trips_count > 0
"""

FLEET = """
    with readiness as (
        select
            city,
            count(*) filter (where freshness = 'fresh') as fresh,
            count(*) filter (where freshness = 'stale') as stale,
            count(*) filter (where freshness = 'never_reported') as never_reported
        from dwh_gold.vehicle_status_now
        group by city
    ),

    activity as (
        select scope_value as city, used.*, health.alarms_count
        from dwh_gold.kpi_fleet_utilisation_daily as used
        inner join dwh_gold.kpi_vehicle_health_daily as health
            using (day, scope, scope_value)
        where day = %(day)s and scope = 'city'
    )

    select
        city, vehicles_count, moved_count, distance_km, driving_h, idle_h, alarms_count,
        coalesce(fresh, 0), coalesce(stale, 0), coalesce(never_reported, 0)
    from activity
    full join readiness using (city)
    order by vehicles_count desc nulls last, city
"""
SOME_VEHICLES = "select distinct imei from raw.device_list order by imei limit 5"
FLEET_HEADINGS = (
    "city", "vehicles", "moved", "km", "driving h", "idle h", "alarms",
    "fresh", "stale", "never\nreported",
)  # fmt: skip


def run(settings: Settings, console: Console, traces: Path | None, days: int) -> None:
    """Run the demo; a second run of the same day adds only what is new since.

    Raises DatabaseError, dbt.DbtFailed, or RuntimeError if the stand-in does not start.
    """
    logs.configure()
    took: dict[str, float] = {}
    with ExitStack() as stack:
        with _stage(console, took, "database"):
            server = stack.enter_context(chosen_database())
            database = server.sibling(NAMES[bool(traces)])
            database.prepare()
            console.print(f"  {database.safe_url}", highlight=False)
        with _stage(console, took, "webhook"):
            hook = stack.enter_context(_webhook(settings, database))
            console.print(f"  {hook.url}", highlight=False)
        with _stage(console, took, "stand-in API"):
            # It pushes the last day before it serves: what a platform sends beside the polls.
            given = stack.enter_context(_sandbox(settings, traces, days, hook))
            console.print(f"  {given.settings.tracksolid_api_url}", highlight=False)
        with _stage(console, took, "load"):
            before = _counts(database)
            with database.connect() as connection:
                # A stand-in that has just started knows no token of its predecessor.
                connection.execute("delete from tracksolid.api_token_cache")
            summaries = _load(given, database, console, live=traces is None)
            pushed = drain(SpoolReader(hook.spool), Landing(database, settings.work_dir))
            console.print(f"  {pushed.pushes:,} pushes drained from the spool")
        with _stage(console, took, "dbt build"):
            _build(settings, database, console)
        _show(console, settings, database, summaries, before, took)


class Given:
    """What the stand-in told of itself: the settings that reach it and the days it knows."""

    def __init__(self, env_file: Path) -> None:
        told = {name.lower(): value for name, value in dotenv_values(env_file).items()}
        # Arguments win over the environment: a real account is never asked for a demo. On
        # loopback nobody needs to be spared.
        self.settings = Settings.model_validate(
            {name: value for name, value in told.items() if name.startswith("tracksolid_")}
            | {"tracksolid_calls_per_second": 1000, "tracksolid_backoff_seconds": 0.1}
        )
        self.first = datetime.fromisoformat(str(told["sandbox_first"]))
        self.last = datetime.fromisoformat(str(told["sandbox_last"]))


@dataclass(frozen=True)
class Hook:
    """A receiver that runs: where it listens, what it wants, where it keeps what it took."""

    url: str
    token: str
    spool: Path


@contextmanager
def _webhook(settings: Settings, database: Database) -> Iterator[Hook]:
    """The receiver in a process of its own, gone when the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spool = settings.work_dir / f"{database.name}-spool.sqlite"
    hook = Hook(f"http://127.0.0.1:{port}", secrets.token_urlsafe(), spool)
    environment = os.environ | {
        "WEBHOOK_TOKEN": hook.token,
        "WEBHOOK_PORT": str(port),
        "SPOOL_PATH": str(spool),
    }
    command = [sys.executable, "-m", "webhook"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(f"{hook.url}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DatabaseError(f"the webhook does not start: {' '.join(command)}")
            time.sleep(0.1)
        yield hook
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


@contextmanager
def _sandbox(settings: Settings, traces: Path | None, days: int, hook: Hook) -> Iterator[Given]:
    """A stand-in Tracksolid in a process of its own, gone when the block ends."""
    env_file = settings.work_dir / "sandbox.env"
    env_file.unlink(missing_ok=True)
    what = ["--traces", str(traces)] if traces else ["--profile", "fleet", "--days", str(days)]
    push = ["--push-to", hook.url, "--push-token", hook.token]
    command = [sys.executable, "-m", "sandbox", *what, *push, "--env-file", str(env_file)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not env_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DatabaseError(f"the stand-in API does not start: {' '.join(command)}")
            time.sleep(0.1)
        yield Given(env_file)
    finally:
        process.terminate()
        process.wait()


def _load(given: Given, database: Database, console: Console, *, live: bool) -> list[Summary]:
    loader = Loader(given.settings, database)
    with progress_bars(console) as progress:
        summaries = loader.poll([*REGISTERS, "fence_detail"], progress)
        if live:
            # History up to this morning; poll takes it from there, reaching back by its look-back
            # for trips that were under way, as it does every quarter of an hour in production.
            zone = ZoneInfo(given.settings.fleet_timezone)
            morning = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
            summaries += loader.backfill(given.first, morning, progress=progress)
            windowed = [e.name for e in loader.choose(()) if e.window]
            summaries += loader.poll(windowed, progress)
            with database.connect() as connection:
                some = connection.execute(SOME_VEHICLES).fetchall()
            summaries.append(loader.locate([imei for (imei,) in some]))  # as a dispatcher does
        else:
            summaries += loader.backfill(given.first, given.last, progress=progress)
    return summaries


def _build(settings: Settings, database: Database, console: Console) -> None:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("models and tests", total=None)
        dbt_runner.run(
            settings,
            database,
            ["build"],
            lambda step, of: progress.update(task, completed=step, total=of),
        )


def _counts(database: Database) -> dict[str, int]:
    """Rows per table: what was delivered, and what was made of it."""
    with database.connect() as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables"
            " where schemaname = 'raw' and tablename !~ '^_dlt'"
            " or schemaname = 'tracksolid' and tablename = any(%s) order by 1, 2",
            [list(ONCE)],
        ).fetchall()
        counts = {}
        for schema, table in tables:
            name = f"{schema}.{table}"
            row = connection.execute(f"select count(*) from {name}".encode()).fetchone()
            counts[name] = row[0] if row else 0
    return counts


def _show(
    console: Console,
    settings: Settings,
    database: Database,
    summaries: list[Summary],
    before: dict[str, int],
    took: dict[str, float],
) -> None:
    with database.connect() as connection:
        values = {"zone": settings.fleet_timezone}
        row = connection.execute(YESTERDAY.encode(), values).fetchone()
        day: date | None = row[0] if row else None
        fleet = connection.execute(FLEET.encode(), {"day": day}).fetchall()

    landed = Table("table", "rows", "new", title="raw: each delivery; tracksolid: each thing once")
    counts = _counts(database)
    for table, rows in counts.items():
        if rows:
            landed.add_row(table, f"{rows:,}", f"{rows - before.get(table, 0):,}")
    landed.caption = f"no rows: {', '.join(table for table, rows in counts.items() if not rows)}"
    stages = Table("stage", "seconds", title="Time")
    for stage, seconds in took.items():
        stages.add_row(stage, f"{seconds:.1f}")
    city = Table(
        *FLEET_HEADINGS,
        padding=(0, 0),
        title=f"The fleet on {day:%A, %d %B %Y}" if day else "No trips",
    )
    for cells in fleet:
        city.add_row(*(_cell(value) for value in cells))
    for shown in (landed, stages, city):
        for column in shown.columns[1:]:
            column.justify = "right"
        console.print(shown)
    faults = [fault for summary in summaries for fault in summary.errors]
    for fault in faults:
        console.print(f"[red]not loaded:[/] {fault}", highlight=False, soft_wrap=True)
    console.print(
        "Where to look next\n"
        f"  make psql DB={database.name}    then, for instance:\n"
        "    select * from dwh_gold.fact_daily_fleet_metrics order by distance_km desc limit 10;\n"
        f"  make docs DB={database.name}    all tables, columns and rules: public/index.html",
        highlight=False,
        soft_wrap=True,
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if hasattr(value, "as_tuple") else str(value)


@contextmanager
def _stage(console: Console, took: dict[str, float], name: str) -> Iterator[None]:
    """Announce a stage and note how long it took, without the stages inside it."""
    console.rule(name, align="left", characters="·")
    began = time.monotonic()
    yield
    took[name] = time.monotonic() - began
