"""Reads the state of the service from database, spool and disk; it need not be running."""

import shutil
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from operations.service.job_runs import JobRuns
from operations.service.leader import KEY
from settings import Settings
from warehouse.database import Database
from webhook import spool_reader

LEADER = """
    select exists (
        select from pg_locks
        where
            locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())
            and (classid::bigint << 32) | objid::bigint = hashtext(%s)::bigint
    )
"""
# A table may be missing before the first poll or build; then the value is None.
NEWEST_LOAD = "select max(inserted_at) from raw.complete_loads"
NEWEST_FIX = "select max(gps_time) from tracksolid.newest_fixes"
EXPIRY = """
    select expires_at from tracksolid.api_token_cache where account = %s and app_key = %s
"""
LAST_BUILD = """
    with last_run as (
        select run_id from dwh_gold.dbt_run_history
        where command ~ '^(build|run)( |$)'
        order by started_at desc
        limit 1
    )

    select
        split_part(command, ' ', 1) as command,
        min(started_at) as started_at,
        max(finished_at) as finished_at,
        count(*) filter (where status in ('success', 'pass')) as good_count,
        count(*) filter (where status = 'warn') as warned_count,
        coalesce(
            array_agg(resource_type || ' ' || name || ': ' || coalesce(message, status))
            filter (where status in ('error', 'fail')), '{}'
        ) as failed
    from dwh_gold.dbt_run_history
    inner join last_run using (run_id)
    group by command
"""
SIZE = "select pg_database_size(current_database())"


@dataclass(frozen=True)
class LastBuild:
    """The newest dbt build or run: numbers of its nodes, and the failed ones ("model x: why")."""

    command: str
    started_at: datetime
    finished_at: datetime
    good_count: int
    warned_count: int
    failed: list[str]


@dataclass(frozen=True)
class Status:
    """The state at one moment. None means unknown; instants are UTC, sizes are bytes."""

    at: datetime
    zone: ZoneInfo
    is_led: bool
    jobs: list[dict[str, Any]]
    newest_fix: datetime | None
    newest_load: datetime | None
    token_expires_at: datetime | None
    last_build: LastBuild | None
    spool: spool_reader.SpoolFigures | None
    database_bytes: int
    work_bytes: int
    free_bytes: int
    faults: list[str] = field(default_factory=list)


def read(settings: Settings, database: Database) -> Status:
    """Read the whole state. The database must be migrated; spool, raw and gold may be missing."""
    spool = settings.spool_path
    faults, measured = [], None
    if spool.exists():
        try:
            measured = spool_reader.measure(spool)
        except sqlite3.Error as error:
            faults.append(f"the spool {spool} cannot be read: {error}")
    work_dir = settings.work_dir
    work_dir.mkdir(parents=True, exist_ok=True)
    with database.connect() as connection:
        build = _row(connection, LAST_BUILD)
        account = [settings.tracksolid_account, settings.tracksolid_app_key]
        return Status(
            at=datetime.now(UTC),
            zone=ZoneInfo(settings.fleet_timezone),
            is_led=_first(connection, LEADER, [KEY]),
            jobs=_jobs(database),
            newest_fix=_first(connection, NEWEST_FIX),
            newest_load=_first(connection, NEWEST_LOAD),
            token_expires_at=_first(connection, EXPIRY, account),
            last_build=LastBuild(*build) if build else None,
            spool=measured,
            database_bytes=_first(connection, SIZE),
            work_bytes=_folder_bytes(work_dir),
            free_bytes=shutil.disk_usage(work_dir).free,
            faults=faults,
        )


def _jobs(database: Database) -> list[dict[str, Any]]:
    """Return the latest run of each job; none before the first migration."""
    try:
        return JobRuns(database).all()
    except psycopg.errors.UndefinedTable:
        return []


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:  # gone meanwhile, or not ours to read
            continue
    return total


def _row(
    connection: psycopg.Connection, query: str, values: list[str] | None = None
) -> tuple[Any, ...] | None:
    try:
        return connection.execute(query.encode(), values).fetchone()
    except psycopg.errors.UndefinedTable:
        return None


def _first(connection: psycopg.Connection, query: str, values: list[str] | None = None) -> Any:
    row = _row(connection, query, values)
    return row and row[0]
