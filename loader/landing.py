"""From answers to the raw schema, through dlt: Arrow tables, parquet, ADBC; append only.

A load counts when raw._dlt_loads holds it with status 0. No cursor lives in dlt's state: what
was fetched is read from raw itself (coverage.py), and record_id makes a replay harmless.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# dlt reads these when it is imported; what a user has set wins.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")  # its errors reach us as exceptions

import dlt
import fasteners
import psycopg
import pyarrow as pa
import structlog
from dlt.common.data_types import TDataType
from dlt.common.schema.typing import TPartialTableSchema
from dlt.common.schema.utils import new_table
from dlt.pipeline.exceptions import PipelineStepFailed
from psycopg import sql

from loader.batch import SCHEMAS, UTC, Batch
from operations.database import LOADER_ROLE, Database
from settings import settings

log = structlog.get_logger()

DATASET = "raw"
# By load for dbt; by device for the live view; by time for what the loader asks of raw.
INDEXES: dict[str, list[tuple[str, ...]]] = {table: [("_dlt_load_id",)] for table in SCHEMAS}
INDEXES["location_list"].append(("imei", "fetched_at"))
INDEXES["location_get"].append(("imei", "fetched_at"))
INDEXES["api_calls"].append(("endpoint", "started_at"))
INDEXES["_dlt_loads"] = [("load_id",)]


VARCHAR = """
    select table_name, column_name
    from information_schema.columns
    where table_schema = %s and data_type = 'character varying'
"""


# Killed before this, a load may be of any time: whoever reads it looks everywhere. One without
# records is of no time.
LOAD_TIME = """
    insert into raw.load_times (load_id, first_fetched_at) values (%s, coalesce(%s, now()))
    on conflict (load_id) do nothing
"""
# The tables that grow with every minute or fix; the others are small beside these.
SERIES = ("location_list", "track_list", "push_gps", "push_hb", "push_obd")
# Where TimescaleDB is installed: those that are no hypertables yet.
PLAIN = """
    select 'raw.' || plain.name
    from unnest(%s::text[]) as plain (name)
    where
        exists (select from pg_extension where extname = 'timescaledb')
        -- A hypertable, and no other table here, has this trigger.
        and not exists (
            select from pg_trigger
            where tgrelid = ('raw.' || plain.name)::regclass and tgname = 'ts_insert_blocker'
        )
"""
HYPERTABLE = """
    select create_hypertable(
        '{0}', 'fetched_at', chunk_time_interval => {1} * interval '1 day',
        create_default_indexes => false, migrate_data => true
    );
    alter table {0} set (
        timescaledb.compress,
        timescaledb.compress_segmentby = 'imei',
        timescaledb.compress_orderby = 'fetched_at'
    );
"""


class LandingError(Exception):
    """dlt could not load a package; it is kept and settled by the next run."""


# The file lock keeps processes apart, but not the threads of one.
_thread_turn = threading.Lock()


class Landing:
    """Appends batches to raw. One thread of one process at a time lands; the others wait."""

    def __init__(self, database: Database, work_dir: Path) -> None:
        self._database = database.acting_as(LOADER_ROLE)
        folder = work_dir / "dlt" / database.name  # a pending package must not change database
        folder.mkdir(parents=True, exist_ok=True)
        self._process_turn = fasteners.InterProcessLock(folder / "loader.lock")
        dlt.config["normalize.parquet_normalizer.add_dlt_load_id"] = True
        # State sent to the database can leave a package that fails for ever after a kill.
        dlt.config["restore_from_destination"] = False
        self._schema = dlt.Schema("tracksolid")
        for table, arrow in SCHEMAS.items():
            self._schema.update_table(_declared(table, arrow))
        self._pipeline = dlt.pipeline(
            pipeline_name="loader",
            pipelines_dir=str(folder),
            destination=dlt.destinations.postgres(self._database.url),
            dataset_name=DATASET,
        )

    def prepare(self) -> None:
        """Settle what a killed run left, and make every raw table and its indexes."""
        with self._turn():
            self._settle()
            self._pipeline.schemas.save_schema(self._schema)
            self._pipeline.sync_schema(self._schema.name)
            with self._database.connect() as connection:
                connection.execute("select pg_advisory_lock(hashtext('fireside raw'))")
                _finish_tables(connection)

    def land(self, batch: Batch) -> str | None:
        """Append a batch; returns its load id, None if there was nothing.

        Raises LandingError if dlt fails; the package stays in the work folder.
        """
        resources = [
            dlt.resource([table], name=name, write_disposition="append")
            for name, table in batch.tables()
        ]
        if not resources:
            return None
        with self._turn():
            self._settle()  # with a package pending, dlt would load that and ignore the new data
            try:
                info = self._pipeline.run(
                    resources, schema=self._schema, loader_file_format="parquet"
                )
            except PipelineStepFailed as error:
                raise LandingError(f"load failed at {error.step}: {error.exception}") from error
            self._forget_loaded()
        load_id: str = info.loads_ids[0]
        with self._database.connect() as connection:
            connection.execute(LOAD_TIME.encode(), [load_id, batch.first_fetched_at()])
        log.info("landed", load_id=load_id, **batch.counts())
        return load_id

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with _thread_turn, self._process_turn:
            yield

    def _settle(self) -> None:
        if not self._pipeline.has_pending_data:
            return
        log.warning("settling a package that an earlier run left")
        extracted = self._pipeline._get_normalize_storage().extracted_packages
        for load_id in self._pipeline.list_normalized_load_packages():
            # dlt moves a normalized package to its place at once, and deletes its source file by
            # file after that. Killed in between it would fail at this source for ever.
            extracted.delete_package(load_id, not_exists_ok=True)
        try:
            self._pipeline.normalize()
            self._pipeline.load()
        except PipelineStepFailed as error:
            raise LandingError(f"pending load failed at {error.step}: {error.exception}") from error

    def _forget_loaded(self) -> None:
        """Delete what dlt keeps of packages that are in the database: a folder a minute."""
        loaded = self._pipeline._get_load_storage().loaded_packages
        for load_id in loaded.list_packages():
            loaded.delete_package(load_id)


def _finish_tables(connection: psycopg.Connection) -> None:
    """What dlt has no word for: text instead of varchar, as dbt's contracts say, and indexes."""
    made = connection.execute(VARCHAR.encode(), [DATASET]).fetchall()
    for table, column in made:
        # Costs nothing: both are the same on disk.
        change = sql.SQL("alter table {} alter {} type text")
        connection.execute(change.format(sql.Identifier(DATASET, table), sql.Identifier(column)))
    for table, indexes in INDEXES.items():
        for columns in indexes:
            name = f"{table}_{'_'.join(columns).lstrip('_')}"
            connection.execute(
                f"create index if not exists {name}"
                f" on {DATASET}.{table} ({', '.join(columns)})".encode()
            )
    for (table,) in connection.execute(PLAIN.encode(), [list(SERIES)]).fetchall():
        connection.execute(HYPERTABLE.format(table, settings().chunk_days).encode())


def _declared(table: str, arrow: pa.Schema) -> TPartialTableSchema:
    kinds: dict[pa.DataType, TDataType] = {
        pa.string(): "text",
        UTC: "timestamp",
        pa.float64(): "double",
        pa.int64(): "bigint",
    }
    types = {column.name: kinds[column.type] for column in arrow} | {"_dlt_load_id": "text"}
    return new_table(
        table,
        write_disposition="append",
        columns=[
            {"name": name, "data_type": kind, "nullable": True} for name, kind in types.items()
        ],
    )
