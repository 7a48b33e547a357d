"""dbt beside the very same statements sent by psql, and a night in which nothing was new."""

import json
import os
import subprocess
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

from benchmarks.build import BUILD, DEVICES, land_day
from benchmarks.common import Result, scratch_database
from loader.landing import Landing
from operations import dbt, nightly
from operations.database import Database
from operations.embedded import programs
from settings import Settings

HISTORY_DAYS = 5
# One thread, so that the statements of all connections stand in an order that psql can repeat.
RUN = ["run", "--threads", "1", "--log-format-file", "json", "--log-level-file", "debug"]


def run() -> list[Result]:
    with scratch_database() as (database, folder):
        settings = Settings(work_dir=folder / "work", database_url=None)
        Landing(database, settings.work_dir).prepare()
        for day in range(HISTORY_DAYS):
            land_day(database, day)
        dbt.run(settings, database, BUILD, lambda *_: None)
        land_day(database, HISTORY_DAYS)
        server = database.sibling("postgres")
        with server.connect() as connection:
            connection.execute(f"create database copy template {database.name}".encode())

        began = time.perf_counter()
        logs = folder / "logs"
        dbt.run(settings, database, [*RUN, "--log-path", str(logs)], lambda *_: None)
        dbt_s = time.perf_counter() - began
        statements = _statements(logs / "dbt.log")
        with server.connect() as connection:  # the statements name their database
            connection.execute(f"alter database {database.name} rename to built".encode())
            connection.execute(f"alter database copy rename to {database.name}".encode())
            psql_s = _by_psql(database, statements, folder / "same.sql")
            connection.execute(f"alter database {database.name} rename to copy".encode())
            connection.execute(f"alter database built rename to {database.name}".encode())

        began = time.perf_counter()
        dbt.run(settings, database, ["run"], lambda *_: None)
        models_s = time.perf_counter() - began
        began = time.perf_counter()
        with suppress(nightly.NightlyFailed):  # of freshness: the data is of March
            nightly.run(settings, database, date(2026, 3, 15))
        night_s = time.perf_counter() - began
    return [
        Result(f"dbt run / its {len(statements):,} statements by psql", dbt_s / psql_s, "<= 1.25"),
        Result(f"  dbt, one new day of {DEVICES:,} devices, one thread, s", dbt_s),
        Result("  psql, s", psql_s),
        Result("a night with no news, s", night_s, "<= 15"),
        Result("  a run of its models with no news, s", models_s),
    ]


def _statements(log: Path) -> list[str]:
    """All that dbt sent to the database, in order."""
    events = (json.loads(line) for line in log.read_text().splitlines())
    told = [(event["info"]["name"], event["data"]) for event in events]
    return [
        "commit" if name == "SQLCommit" else str(data["sql"]).strip().rstrip(";")
        for name, data in told
        if name in ("SQLQuery", "SQLCommit")
    ]


def _by_psql(database: Database, statements: list[str], file: Path) -> float:
    file.write_text(";\n".join(statements) + ";\n")
    command = [programs() / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-f", file]
    began = time.perf_counter()
    subprocess.run(command, env=os.environ | database.environment(), check=True)
    return time.perf_counter() - began
