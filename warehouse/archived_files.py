"""raw.archived_files: which rows of raw are in Parquet files, and where the files are.

The caller of each function holds the dbt lock (dbt_runner.alone), so that no full refresh runs
while rows leave raw or come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog
from psycopg import sql

from settings import Settings

log = structlog.get_logger()

LISTED = (
    "select file, table_name, loads, row_count from raw.archived_files order by archived_at, file"
)
ADD = "insert into raw.archived_files (file, table_name, loads, row_count) values (%s, %s, %s, %s)"
# Loads whose rows of the table are neither in raw nor in a listed file. A load id is a time with
# microseconds, so a file of another database has none of this database's ids.
ABSENT = """
    select load.load_id
    from raw._dlt_loads as load
    where
        load.load_id = any(%(loads)s)
        and not exists (
            select from raw.{table} as kept where kept._dlt_load_id = load.load_id
        )
        and not exists (
            select from raw.archived_files as listed
            where listed.table_name = %(table)s and load.load_id = any(listed.loads)
        )
"""
IS_TABLE = "select to_regclass('raw._dlt_loads') is not null and to_regclass(%s) is not null"
FILES_NAMED = 5


@dataclass(frozen=True)
class ArchivedFile:
    """A file whose rows raw no longer has. `path` is where it was written, `rows` their number."""

    path: str
    table: str
    loads: Sequence[str]
    rows: int


def listed(connection: psycopg.Connection) -> list[ArchivedFile]:
    """Return the archived files, oldest first; an empty list means that raw is complete."""
    return [ArchivedFile(*row) for row in connection.execute(LISTED)]


def add(connection: psycopg.Connection, file: ArchivedFile) -> None:
    """List a file, in the caller's transaction: the one that deletes its rows from raw."""
    connection.execute(ADD, [file.path, file.table, list(file.loads), file.rows])


def find(settings: Settings, file: ArchivedFile) -> Path | None:
    """Return where a listed file is: at its path, or moved along with ARCHIVE_DIR; else None."""
    written = Path(file.path)
    moved = sorted(settings.archive_dir.glob(f"*/{file.table}/{written.name}"))
    return next((path for path in (written, *moved) if path.is_file()), None)


def list_older_files(settings: Settings, connection: psycopg.Connection) -> list[Path]:
    """List the files that a release without raw.archived_files wrote to ARCHIVE_DIR.

    Returns the files that cannot be read: nobody knows which rows they hold.
    """
    known = {(file.table, Path(file.path).name) for file in listed(connection)}
    unreadable = []
    for path in sorted(settings.archive_dir.glob("*/*/*.parquet")):
        table = path.parent.name
        if (table, path.name) in known:
            continue
        if connection.execute(IS_TABLE, [f"raw.{table}"]).fetchone() != (True,):
            continue
        import pyarrow as pa  # late: most commands find no such file
        import pyarrow.parquet as pq

        try:
            loads = pq.read_table(path, columns=["_dlt_load_id"])["_dlt_load_id"].to_pylist()
        except (OSError, pa.ArrowException):
            unreadable.append(path)
            continue
        query = sql.SQL(ABSENT).format(table=sql.Identifier(table))
        found = connection.execute(query, {"loads": sorted(set(loads)), "table": table})
        if absent := {load_id for (load_id,) in found}:
            rows = sum(load_id in absent for load_id in loads)
            add(connection, ArchivedFile(str(path.absolute()), table, sorted(absent), rows))
            log.warning("listed an archived file of an older release", file=str(path), rows=rows)
    return unreadable


def reason_against_full_refresh(settings: Settings, connection: psycopg.Connection) -> str | None:
    """Say why a full refresh would lose data and what to do; None if raw is complete."""
    unreadable = list_older_files(settings, connection)
    archived = listed(connection)
    if unreadable and not archived:
        return (
            f"a full refresh might lose rows of raw in {_some(unreadable)}, which cannot be read:"
            " restore the file from a backup, or move it out of ARCHIVE_DIR"
        )
    if not archived:
        return None
    rows = sum(file.rows for file in archived)
    reason = (
        f"a full refresh would lose {rows:,} rows of raw in {len(archived)} archived files:"
        " run orchestrate.py restore-archive first"
    )
    if missing := [file.path for file in archived if find(settings, file) is None]:
        reason += f"; {missing_files(settings, missing)}"
    return reason


def missing_files(settings: Settings, files: Sequence[str]) -> str:
    """Say which archived files are not on this machine, and where to put them."""
    return (
        f"{len(files)} files are not here, they were written to {_some(files)}: copy them to the"
        f" same paths or, with the two folders above each, to {settings.archive_dir}"
    )


def _some(files: Sequence[object]) -> str:
    more = f" and {len(files) - FILES_NAMED} more" if len(files) > FILES_NAMED else ""
    return ", ".join(map(str, files[:FILES_NAMED])) + more
