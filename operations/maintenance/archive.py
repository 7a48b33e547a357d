"""From raw to Parquet files and back: old rows that every model has read leave the database.

A file is read back and compared before its rows are deleted, and raw.archived_files gets a row for
it in the transaction that deletes them. The loads stay in raw._dlt_loads and in the ledger of
claims, so incremental builds notice nothing. Only a full refresh needs the rows again: dbt_runner
refuses it until they are restored.

Rows move under the dbt lock: one archive or restore at a time, and no build beside it.
"""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog
from adbc_driver_postgresql import dbapi
from psycopg import sql

from loader.raw_tables import SCHEMAS
from settings import Settings
from warehouse import archived_files, dbt_runner
from warehouse.archived_files import Note
from warehouse.database import Database

log = structlog.get_logger()

# The loader reads these from raw (newest_answers.py, coverage.py, replay.py), and imports look for
# what has landed.
STAYS = {"api_calls", "rejected", "child_list", "device_list", "fence_list", "jobs"}
STAYS |= {table for table in SCHEMAS if table.startswith("legacy_")}
FILE_ROWS = 500_000  # bounds memory
SETTLED = """
    select load.load_id
    from raw.complete_loads as load
    inner join tracksolid.offered_loads as offered using (load_id)
    where
        load.inserted_at < now() - %(age)s
        and offered.build_id <= (select min(build_id) from tracksolid.claims)
        and (%(loads)s::text[] is null or load.load_id = any(%(loads)s))
"""
COUNTS = """
    select _dlt_load_id, count(*) from raw.{table}
    where _dlt_load_id = any(%s)
    group by 1
    order by 1
"""


class ArchiveError(Exception):
    """A file does not hold what it should, or is gone; the text says which. No row is lost."""


def is_empty(database: Database) -> bool:
    """Return True if no row of raw is in a file."""
    with database.connect() as connection:
        return not archived_files.notes(connection)


def archive(settings: Settings, database: Database, age: timedelta) -> int:
    """Move the rows of loads older than `age` that all models have read; return how many rows.

    Builds may run between two files. Raises ArchiveError if a file differs from its rows: then
    those rows stay in raw.
    """
    with dbt_runner.alone(database), database.connect() as connection:
        for path in archived_files.note_older_files(settings, connection):
            log.warning("cannot read a file in ARCHIVE_DIR", file=str(path))
        row = connection.execute("select current_database()").fetchone()
        assert row is not None
        # The name alone: the same server answers to many hosts and ports.
        folder = settings.archive_dir / quote(row[0], safe="")
        settled = _settled(connection, age)
    moved = 0
    for table in sorted(SCHEMAS.keys() - STAYS):
        for loads in _groups(database, table, settled):
            with dbt_runner.alone(database):
                moved += _move(database, table, loads, age, folder / table)
    return moved


def restore(settings: Settings, database: Database) -> int:
    """Bring all archived rows back to raw and delete their files; return how many rows.

    Raises ArchiveError, after it has restored the other files, if files are missing or lack rows.
    """
    restored = 0
    missing: list[str] = []
    broken: list[str] = []
    with dbt_runner.alone(database):
        with database.connect() as connection:
            broken += map(str, archived_files.note_older_files(settings, connection))
            archived = archived_files.notes(connection)
        for note in archived:
            path = archived_files.place(settings, note)
            if path is None:
                missing.append(note.file)
                continue
            rows = _rows(path, note)
            if rows is None:
                broken.append(str(path))
                continue
            restored += _bring_back(database, note, rows)
            path.unlink()
            log.info("restored", file=str(path), rows=len(rows))
    faults = [archived_files.missing_files(settings, missing)] if missing else []
    faults += [f"{file} does not hold the rows that were archived in it" for file in broken]
    if faults:
        raise ArchiveError(f"{restored:,} rows are back in raw, but {'; '.join(faults)}")
    return restored


def _settled(
    connection: psycopg.Connection, age: timedelta, loads: list[str] | None = None
) -> list[str]:
    """Return the loads (of `loads`, or all) that are old enough and read by every model."""
    found = connection.execute(SETTLED, {"age": age, "loads": loads})
    return [load_id for (load_id,) in found]


def _groups(database: Database, table: str, loads: list[str]) -> list[list[str]]:
    """Split the loads that have rows in the table into groups that memory can hold."""
    query = sql.SQL(COUNTS).format(table=sql.Identifier(table))
    groups: list[list[str]] = []
    room = 0
    with database.connect() as connection:
        for load_id, count in connection.execute(query, [loads]):
            if count > room:
                groups.append([])
                room = FILE_ROWS
            groups[-1].append(load_id)
            room -= count
    return groups


def _move(database: Database, table: str, loads: list[str], age: timedelta, place: Path) -> int:
    """Write the rows of these loads to a new file in `place`, then delete them from raw."""
    with database.connect() as connection:
        # A full refresh since the groups were made sends the models back to raw.
        loads = sorted(_settled(connection, age, loads))
    query = f"select * from raw.{table} where _dlt_load_id = any($1)"
    with dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute(query, [loads])
        rows: pa.Table = cursor.fetch_arrow_table()
    if not len(rows):  # another archive has moved them
        return 0
    path = _write(rows, place, f"{loads[0]}-{loads[-1]}-{uuid4().hex[:12]}")
    _delete(database, Note(str(path), table, loads, len(rows)))
    log.info("archived", table=table, rows=len(rows), file=str(path))
    return len(rows)


def _write(rows: pa.Table, place: Path, name: str) -> Path:
    """Write a file that is on disk for good and equal to its rows; it replaces no other file."""
    place.mkdir(parents=True, exist_ok=True)
    path, unfinished = place / f"{name}.parquet", place / f"{name}.part"
    try:
        with unfinished.open("xb") as file:
            pq.write_table(rows, file, compression="zstd")
            os.fsync(file.fileno())
        if not pq.read_table(unfinished).equals(rows):
            raise ArchiveError(f"{unfinished} differs from the rows of raw: nothing is deleted")
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    for folder in (place, place.parent, place.parent.parent):
        _sync(folder)
    return path.absolute()


def _sync(folder: Path) -> None:
    """Make the names in a folder outlive a power cut: fsync of a file does not cover them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(database: Database, note: Note) -> None:
    """Delete the rows of a file from raw and note the file, in one transaction."""
    delete = sql.SQL("delete from raw.{} where _dlt_load_id = any(%s)").format(
        sql.Identifier(note.table)
    )
    with database.connect(autocommit=False) as connection:
        # TimescaleDB deletes at most 100,000 rows of a compressed chunk unless this is 0.
        connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        gone = connection.execute(delete, [note.loads]).rowcount
        if gone != note.rows:
            connection.rollback()
            Path(note.file).unlink()
            raise ArchiveError(f"raw.{note.table} changed while it was archived: its rows stay")
        archived_files.add(connection, note)


def _rows(path: Path, note: Note) -> pa.Table | None:
    """Return the rows that the note promises; None if the file does not hold them."""
    try:
        rows = pq.read_table(path)
        rows = rows.filter(pc.is_in(rows["_dlt_load_id"], pa.array(note.loads, pa.string())))
    except (OSError, KeyError, pa.ArrowException):
        return None
    return rows if len(rows) == note.rows else None


def _bring_back(database: Database, note: Note, rows: pa.Table) -> int:
    """Insert the rows that raw lacks and remove the note, in one transaction; return how many."""
    present = [load for group in _groups(database, note.table, [*note.loads]) for load in group]
    is_there = pc.is_in(rows["_dlt_load_id"], pa.array(present, pa.string()))
    rows = rows.filter(pc.invert(is_there))
    with dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        if len(rows):
            cursor.adbc_ingest(note.table, rows, mode="append", db_schema_name="raw")
        cursor.execute("delete from raw.archived_files where file = $1", [note.file])
        connection.commit()
    return len(rows)
