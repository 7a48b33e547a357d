"""From raw to Parquet files and back: old rows that every model has read leave the database.

A file is read back and compared before its rows are deleted, and raw.archived_files gets a row for
it in the transaction that deletes them. The loads stay in raw._dlt_loads and in the ledger of
claims, so incremental builds notice nothing. Only a full refresh needs the rows again: dbt_runner
refuses it until they are restored.

Rows move under the dbt lock, so one archive or restore runs at a time, and no build beside it.
"""

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from adbc_driver_postgresql import dbapi
from psycopg import sql

from loader.raw_tables import SCHEMAS
from operations.maintenance import parquet
from operations.maintenance.parquet import ArchiveError
from settings import Settings
from warehouse import archived_files, dbt_runner
from warehouse.archived_files import ArchivedFile
from warehouse.database import Database

log = structlog.get_logger()

# Tables that are never archived: the loader reads them (newest_answers.py, coverage.py, replay.py),
# and an import looks in them for what has landed.
STAYS = {"api_calls", "rejected", "child_list", "device_list", "fence_list", "jobs", "services"}
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


def is_empty(database: Database) -> bool:
    """Return True if no row of raw is in a file."""
    with database.connect() as connection:
        return not archived_files.listed(connection)


def archive(settings: Settings, database: Database, age: timedelta) -> int:
    """Move the rows of loads older than `age` that all models have read; return how many rows.

    Builds may run between two files. Raises ArchiveError if a file differs from its rows: then
    those rows stay in raw.
    """
    with dbt_runner.alone(database), database.connect() as connection:
        for path in archived_files.list_older_files(settings, connection):
            log.warning("cannot read a file in ARCHIVE_DIR", file=str(path))
        row = connection.execute("select current_database()").fetchone()
        assert row is not None
        # Without host and port, because one server has many names.
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

    Raises ArchiveError if files are missing or lack rows, after it has restored all other files.
    """
    restored = 0
    missing: list[str] = []
    broken: list[str] = []
    with dbt_runner.alone(database):
        with database.connect() as connection:
            broken += map(str, archived_files.list_older_files(settings, connection))
            archived = archived_files.listed(connection)
        for file in archived:
            path = archived_files.find(settings, file)
            if path is None:
                missing.append(file.path)
                continue
            rows = parquet.read(path, file.loads)
            if rows is None or len(rows) != file.rows:
                broken.append(str(path))
                continue
            restored += _bring_back(database, file, rows)
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


def _move(database: Database, table: str, loads: list[str], age: timedelta, folder: Path) -> int:
    """Write the rows of these loads to a new file in `folder`, delete them, return how many."""
    with database.connect() as connection:
        # Ask again: after a full refresh the models have to read these loads once more.
        loads = sorted(_settled(connection, age, loads))
    query = f"select * from raw.{table} where _dlt_load_id = any($1)"
    with dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute(query, [loads])
        rows: pa.Table = cursor.fetch_arrow_table()
    if not len(rows):  # another archive has moved them
        return 0
    path = parquet.write(rows, folder, f"{loads[0]}-{loads[-1]}-{uuid4().hex[:12]}")
    _delete(database, ArchivedFile(str(path), table, loads, len(rows)))
    log.info("archived", table=table, rows=len(rows), file=str(path))
    return len(rows)


def _delete(database: Database, file: ArchivedFile) -> None:
    """Delete the rows of a file from raw and list the file, in one transaction."""
    delete = sql.SQL("delete from raw.{} where _dlt_load_id = any(%s)").format(
        sql.Identifier(file.table)
    )
    with database.connect(autocommit=False) as connection:
        # TimescaleDB deletes at most 100,000 rows of a compressed chunk unless this is 0.
        connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        deleted = connection.execute(delete, [file.loads]).rowcount
        if deleted != file.rows:
            connection.rollback()
            Path(file.path).unlink()
            raise ArchiveError(
                f"raw.{file.table} changed while it was archived: its rows stay, and the next"
                " nightly run tries again"
            )
        archived_files.add(connection, file)


def _bring_back(database: Database, file: ArchivedFile, rows: pa.Table) -> int:
    """Insert the rows that raw lacks and unlist the file, in one transaction; return how many."""
    present = [load for group in _groups(database, file.table, [*file.loads]) for load in group]
    is_there = pc.is_in(rows["_dlt_load_id"], pa.array(present, pa.string()))
    rows = rows.filter(pc.invert(is_there))
    with dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        if len(rows):
            cursor.adbc_ingest(file.table, rows, mode="append", db_schema_name="raw")
        cursor.execute("delete from raw.archived_files where file = $1", [file.path])
        connection.commit()
    return len(rows)
