"""Compares dbt with psql on the same statements, and times a nightly job without new data."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from statistics import median

from benchmarks.common import Result, scratch_database
from benchmarks.daily_build import BUILD, DEVICES, land_day
from loader.landing import Landing
from operations.service import nightly
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database
from warehouse.embedded import programs

HISTORY_DAYS = 5
ROUNDS = 3
# One thread, so that dbt logs the statements in an order that psql can repeat.
RUN = ["run", "--threads", "1"]
TO_REPEAT = [*RUN, "--log-format-file", "json", "--log-level-file", "debug"]


def run() -> list[Result]:
    with scratch_database() as (database, folder):
        settings = Settings(work_dir=folder / "work", database_url=None)
        Landing(database, settings.work_dir).prepare()
        for day in range(HISTORY_DAYS):
            land_day(database, day)
        dbt_runner.run(settings, database, BUILD, _silently)
        land_day(database, HISTORY_DAYS)
        with database.sibling("postgres").connect() as server:
            server.execute(f"create database before template {database.name}".encode())

        logs = folder / "logs"
        dbt_runner.run(settings, database, [*TO_REPEAT, "--log-path", str(logs)], _silently)
        same = folder / "same.sql"
        same.write_text(";\n".join(_statements(logs / "dbt.log")) + ";\n")
        # Both in turn, because the machine's speed varies. Each run starts from the same state.
        dbt_s, psql_s = [], []
        for _ in range(ROUNDS):
            psql_s.append(_took_s(database, lambda: _by_psql(database, same)))
            dbt_s.append(
                _took_s(database, lambda: dbt_runner.run(settings, database, RUN, _silently))
            )

        began = time.perf_counter()
        dbt_runner.run(settings, database, ["run"], _silently)
        models_s = time.perf_counter() - began
        began = time.perf_counter()
        with suppress(nightly.NightlyFailed):  # freshness fails: the data is old
            nightly.run(settings, database, date(2026, 3, 15))
        night_s = time.perf_counter() - began
    ratio = median(one / other for one, other in zip(dbt_s, psql_s, strict=True))
    return [
        Result("dbt run / the same statements by psql, median", ratio, "<= 1.25"),
        Result(f"  dbt, one new day of {DEVICES:,} devices, one thread, s", median(dbt_s)),
        Result("  psql, s", median(psql_s)),
        Result("nightly job without new data, s", night_s, "<= 15"),
        Result("  of which dbt run, s", models_s),
    ]


def _took_s(database: Database, work: Callable[[], None]) -> float:
    """Seconds of `work` on a fresh copy of the database under the same name."""
    with database.sibling("postgres").connect() as server:
        server.execute(f"drop database {database.name} with (force)".encode())
        server.execute(f"create database {database.name} template before".encode())
        server.execute(b"checkpoint")
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _silently(*_: int) -> None:
    """Ignore the progress that dbt reports."""


def _statements(log: Path) -> list[str]:
    """All statements that dbt sent to the database, in order, from its log."""
    events = (json.loads(line) for line in log.read_text().splitlines())
    named = [(event["info"]["name"], event["data"]) for event in events]
    return [
        "commit" if name == "SQLCommit" else str(data["sql"]).strip().rstrip(";")
        for name, data in named
        if name in ("SQLQuery", "SQLCommit")
    ]


def _by_psql(database: Database, file: Path) -> None:
    command = [programs() / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-f", file]
    environment = (
        os.environ | database.environment() | {"PGOPTIONS": "-c client_min_messages=error"}
    )
    subprocess.run(command, env=environment, check=True)
