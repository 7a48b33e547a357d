"""From raw to Parquet files and back: what is old and taken by every model leaves the database.

A file is read back and compared before its rows are deleted. The loads stay in raw._dlt_loads and
in the ledger of claims, so that dbt goes on as if nothing had happened. Only a full refresh needs
the rows again: dbt.py refuses it until they are restored.
"""

import os
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog
from adbc_driver_postgresql import dbapi
from psycopg import sql

from loader.batch import SCHEMAS
from settings import Settings
from warehouse.database import Database

log = structlog.get_logger()

# What the loader asks raw for (coverage.py), what can be replayed, and what imports look for.
STAYS = {"api_calls", "rejected", "child_list", "device_list", "fence_list", "jobs"}
STAYS |= {table for table in SCHEMAS if table.startswith("legacy_")}
FILE_ROWS = 500_000  # bounds memory
SETTLED = """
    select load.load_id
    from raw._dlt_loads as load
    inner join tracksolid.offered_loads as offered using (load_id)
    where
        load.status = 0
        and load.inserted_at < now() - %s
        and offered.build_id <= (select min(build_id) from tracksolid.claims)
"""
COUNTS = """
    select _dlt_load_id, count(*) from raw.{table}
    where _dlt_load_id = any(%s)
    group by 1
    order by 1
"""


class ArchiveError(Exception):
    """A file does not hold what it should; the rows are still in raw."""


def folder(settings: Settings, database: Database) -> Path:
    """Where the files of this database are."""
    return settings.archive_dir / database.name


def is_empty(settings: Settings, database: Database) -> bool:
    """True if raw is whole."""
    return not any(folder(settings, database).glob("*/*.parquet"))


def archive(settings: Settings, database: Database, age: timedelta) -> int:
    """Move the rows of loads older than `age` that all models have taken; returns how many.

    Raises ArchiveError if a file is not equal to the rows it was made from.
    """
    with database.connect() as connection:
        settled = [load_id for (load_id,) in connection.execute(SETTLED, [age])]
    moved = 0
    for table in sorted(SCHEMAS.keys() - STAYS):
        for loads in _groups(database, table, settled):
            moved += _move(database, table, loads, folder(settings, database) / table)
    return moved


def restore(settings: Settings, database: Database) -> int:
    """Bring all rows back to raw, file by file; a file is deleted once its rows are there."""
    restored = 0
    for path in sorted(folder(settings, database).glob("*/*.parquet")):
        table, rows = path.parent.name, pq.read_table(path)
        # A stop may leave rows that stand in a file and in raw.
        loads = rows["_dlt_load_id"].unique().to_pylist()
        present = [load_id for group in _groups(database, table, loads) for load_id in group]
        is_there = pc.is_in(rows["_dlt_load_id"], pa.array(present, pa.string()))
        rows = rows.filter(pc.invert(is_there))
        with dbapi.connect(database.url) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append", db_schema_name="raw")
            connection.commit()
        restored += len(rows)
        path.unlink()
        log.info("restored", file=str(path), rows=len(rows))
    return restored


def _groups(database: Database, table: str, loads: list[str]) -> list[list[str]]:
    """Those of the loads that have rows in the table, in groups that memory can hold."""
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


def _move(database: Database, table: str, loads: list[str], place: Path) -> int:
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{loads[0]}-{loads[-1]}.parquet"
    query = f"select * from raw.{table} where _dlt_load_id = any($1)"
    with dbapi.connect(database.url) as connection, connection.cursor() as cursor:
        cursor.execute(query, [loads])
        rows: pa.Table = cursor.fetch_arrow_table()
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        pq.write_table(rows, file, compression="zstd")
        os.fsync(file.fileno())
    if not pq.read_table(unfinished).equals(rows):
        raise ArchiveError(f"{unfinished} does not hold what raw.{table} does: nothing is deleted")
    unfinished.rename(path)
    _delete(database, table, loads, len(rows))
    log.info("archived", table=table, rows=len(rows), file=str(path))
    return len(rows)


def _delete(database: Database, table: str, loads: list[str], count: int) -> None:
    delete = sql.SQL("delete from raw.{} where _dlt_load_id = any(%s)").format(
        sql.Identifier(table)
    )
    with database.connect(autocommit=False) as connection:
        # Of a compressed chunk TimescaleDB deletes 100,000 rows at most, unless told otherwise.
        connection.execute("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0")
        gone = connection.execute(delete, [loads]).rowcount
        if gone != count:
            connection.rollback()
            raise ArchiveError(f"raw.{table} changed while its rows were archived: they stay")
