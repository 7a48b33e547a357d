"""raw.archived_files: which rows of raw are in Parquet files, and where the files are.

Everything here is called under the dbt lock (dbt_runner.alone), so that no full refresh runs while
rows leave raw or come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog
from psycopg import sql

from settings import Settings

log = structlog.get_logger()

NOTES = (
    "select file, table_name, loads, row_count from raw.archived_files order by archived_at, file"
)
ADD = "insert into raw.archived_files (file, table_name, loads, row_count) values (%s, %s, %s, %s)"
# Loads of this database that no longer have rows in the table. Load ids hold microseconds, so the
# files of another database share none of them.
ABSENT = """
    select load.load_id
    from raw._dlt_loads as load
    where
        load.load_id = any(%(loads)s)
        and not exists (
            select from raw.{table} as kept where kept._dlt_load_id = load.load_id
        )
        and not exists (
            select from raw.archived_files as noted
            where noted.table_name = %(table)s and load.load_id = any(noted.loads)
        )
"""
IS_TABLE = "select to_regclass('raw._dlt_loads') is not null and to_regclass(%s) is not null"
FILES_NAMED = 5


@dataclass(frozen=True)
class Note:
    """A file whose rows raw no longer has: its path when written, table, load ids, rows."""

    file: str
    table: str
    loads: Sequence[str]
    rows: int


def notes(connection: psycopg.Connection) -> list[Note]:
    """Return what is archived, oldest first; an empty list means that raw is complete."""
    return [Note(*row) for row in connection.execute(NOTES)]


def add(connection: psycopg.Connection, note: Note) -> None:
    """Note a file, in the caller's transaction: the one that deletes its rows from raw."""
    connection.execute(ADD, [note.file, note.table, list(note.loads), note.rows])


def place(settings: Settings, note: Note) -> Path | None:
    """Return where a noted file is now: at its noted path, or moved along with ARCHIVE_DIR."""
    written = Path(note.file)
    moved = sorted(settings.archive_dir.glob(f"*/{note.table}/{written.name}"))
    return next((path for path in (written, *moved) if path.is_file()), None)


def note_older_files(settings: Settings, connection: psycopg.Connection) -> list[Path]:
    """Note the files that a release without raw.archived_files wrote, whatever their folder.

    Returns the files that cannot be read; what they hold is unknown.
    """
    known = {(note.table, Path(note.file).name) for note in notes(connection)}
    unreadable = []
    for path in sorted(settings.archive_dir.glob("*/*/*.parquet")):
        table = path.parent.name
        is_table = connection.execute(IS_TABLE, [f"raw.{table}"]).fetchone() == (True,)
        if not is_table or (table, path.name) in known:
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
            add(connection, Note(str(path.absolute()), table, sorted(absent), rows))
            log.warning("noted an archived file", file=str(path), rows=rows)
    return unreadable


def reason_against_full_refresh(settings: Settings, connection: psycopg.Connection) -> str | None:
    """Say why a full refresh would lose data and what to do; None if raw is complete."""
    unreadable = note_older_files(settings, connection)
    archived = notes(connection)
    if unreadable and not archived:
        return (
            f"a full refresh might lose what is in {_some(unreadable)}, which cannot be read:"
            " restore the file from a backup, or move it out of ARCHIVE_DIR"
        )
    if not archived:
        return None
    rows = sum(note.rows for note in archived)
    reason = (
        f"a full refresh would lose {rows:,} rows of raw in {len(archived)} archived files:"
        " run orchestrate.py restore-archive first"
    )
    if missing := [note.file for note in archived if place(settings, note) is None]:
        reason += f"; {missing_files(settings, missing)}"
    return reason


def missing_files(settings: Settings, files: Sequence[str]) -> str:
    """Say which archived files are not on this machine, and where to put them."""
    return (
        f"{len(files)} files are not here, they were written to {_some(files)}: copy them to the"
        f" same paths or, with their two folders, to {settings.archive_dir}"
    )


def _some(files: Sequence[object]) -> str:
    more = f" and {len(files) - FILES_NAMED} more" if len(files) > FILES_NAMED else ""
    return ", ".join(map(str, files[:FILES_NAMED])) + more
