"""From batches to the tables of raw through dlt, which appends them as parquet files over ADBC.

A load counts once raw.complete_loads lists it. dlt keeps no cursor: coverage.py reads from raw what
was fetched, and the record_id makes it harmless to land something twice.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

# dlt reads these during its import. Values that a user has set are kept.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")  # errors are raised, and logged here

import dlt
import fasteners
import psycopg2  # type: ignore[import-untyped]
import structlog
from dlt.common.exceptions import DltException
from dlt.common.storages import PackageStorage
from dlt.pipeline.exceptions import PipelineStepFailed

from loader.batch import Batch
from loader.endpoints import SWEEP
from loader.raw_tables import DATASET, SCHEMAS, dlt_schema, finish
from warehouse.database import LOADER_ROLE, Database

log = structlog.get_logger()

# If the loader is killed before this insert, the load's time is unknown and readers scan every
# chunk. An empty load gets now().
LOAD_TIME = """
    insert into raw.load_times (load_id, first_fetched_at) values (%s, coalesce(%s, now()))
    on conflict (load_id) do nothing
"""
# Which tables are missing, or lack the index? dlt does not check: it trusts its table _dlt_version.
DROPPED = """
    select name from unnest(%s::text[]) as expected (name)
    where to_regclass('raw.' || name || %s) is null
"""
# Suffix of the index that finish() adds; if it is missing, dlt has recreated a dropped table.
INDEX = "_dlt_load_id"
NOTE_RECREATED = "insert into raw.remade_tables (table_name) select unnest(%s::text[])"


class LandingError(Exception):
    """dlt could not load a batch. It stays in the work folder, and the next load comes after it."""


# A file lock keeps processes apart, and _thread_turn the threads of this process. Every load except
# a sweep also queues for _queue, so that a sweep waits for at most two loads.
_thread_turn, _queue = threading.Lock(), threading.Lock()


class Landing:
    """Appends batches to raw. One thread of one process lands at a time; the others wait."""

    def __init__(self, database: Database, work_dir: Path) -> None:
        self._database = database.acting_as(LOADER_ROLE)
        folder = work_dir / "dlt" / database.name  # pending packages stay with it
        folder.mkdir(parents=True, exist_ok=True)
        self._process_turn = fasteners.InterProcessLock(folder / "loader.lock")
        dlt.config["normalize.parquet_normalizer.add_dlt_load_id"] = True
        # dlt must not send its state to the database, because a kill could leave a package with it
        # that fails at every load.
        dlt.config["restore_from_destination"] = False
        self._schema = dlt.Schema("tracksolid")
        for table, arrow in SCHEMAS.items():
            self._schema.update_table(dlt_schema(table, arrow))
        self._pipeline = dlt.pipeline(
            pipeline_name="loader",
            pipelines_dir=str(folder),
            destination=dlt.destinations.postgres(self._database.url),
            dataset_name=DATASET,
        )

    def prepare(self) -> None:
        """Create the tables and indexes of raw that are missing; load what a killed run left.

        Raises LandingError if dlt or the database fails.
        """
        with self._turn():
            self._pipeline.schemas.save_schema(self._schema)
            self._create_tables()
            self._recreate_dropped("")
            self._load_pending()
            with self._database.connect() as connection:
                finish(connection)

    def land(self, batch: Batch) -> str | None:
        """Append a batch as one load; returns the load id, or None if the batch is empty.

        Raises LandingError if dlt fails; the batch then stays in the work folder for the next load.
        """
        resources = {
            name: dlt.resource([table], name=name, write_disposition="append")
            for name, table in batch.tables()
        }
        if not resources:
            return None
        with self._turn(is_queued=SWEEP not in resources):
            self._recreate_dropped(INDEX)
            self._load_pending()  # dlt would load only a pending package, and ignore the new data
            try:
                info = self._pipeline.run(
                    list(resources.values()), schema=self._schema, loader_file_format="parquet"
                )
            except PipelineStepFailed as error:
                raise LandingError(f"load failed at {error.step}: {_reason(error)}") from error
            self._delete_loaded_packages()
        load_id: str = info.loads_ids[0]
        with self._database.connect() as connection:
            connection.execute(LOAD_TIME.encode(), [load_id, batch.first_fetched_at()])
        log.info("landed", load_id=load_id, **batch.counts())
        return load_id

    @contextmanager
    def _turn(self, *, is_queued: bool = True) -> Iterator[None]:
        with _queue if is_queued else nullcontext(), _thread_turn, self._process_turn:
            yield

    def recreate_dropped_tables(self) -> None:
        """Recreate tables of raw that somebody dropped, so that polls fetch the last day again."""
        with self._turn():
            self._recreate_dropped(INDEX)

    def _recreate_dropped(self, index: str) -> None:
        """Recreate dropped tables, without which every load fails; log it and note it in raw.

        With the suffix of an index, a table without this index counts as dropped, too: a load has
        recreated it. With an empty suffix, only missing tables count.
        """
        with self._database.connect() as connection:
            rows = connection.execute(DROPPED.encode(), [list(SCHEMAS), index])
            dropped = [name for (name,) in rows]
            if not dropped:
                return
            log.error(
                "tables of raw are gone and are recreated, empty: polls fetch the last day again,"
                " backfill fetches what the API still has",
                tables=[f"{DATASET}.{name}" for name in dropped],
            )
            connection.execute("delete from raw._dlt_version")
            self._create_tables()
            finish(connection)
            connection.execute(NOTE_RECREATED.encode(), [dropped])

    def _create_tables(self) -> None:
        try:
            self._pipeline.sync_schema(self._schema.name)
        except (DltException, psycopg2.Error) as error:
            raise LandingError(f"cannot create the tables of raw: {_reason(error)}") from error

    def _load_pending(self) -> None:
        """Load the packages that a killed or failed run left."""
        if not self._pipeline.has_pending_data:
            return
        log.warning("loading a package that an earlier run left")
        extracted, _ = _package_stores(self._pipeline)
        for load_id in self._pipeline.list_normalized_load_packages():
            # dlt moves a normalized package to its place and then deletes its source file by file.
            # If a kill interrupts this, dlt would fail at the rest of the source for ever.
            extracted.delete_package(load_id, not_exists_ok=True)
        try:
            self._pipeline.normalize()
            self._pipeline.load()
        except PipelineStepFailed as error:
            raise LandingError(f"pending load failed at {error.step}: {_reason(error)}") from error

    def _delete_loaded_packages(self) -> None:
        """Delete dlt's copies of packages that are in the database: it adds a folder a minute."""
        _, loaded = _package_stores(self._pipeline)
        for load_id in loaded.list_packages():
            loaded.delete_package(load_id)


def _package_stores(pipeline: dlt.Pipeline) -> tuple[PackageStorage, PackageStorage]:
    """dlt's folders of extracted and of loaded packages, from its private parts.

    This is the only place that uses private parts of dlt, which has no public way to delete such
    packages. Tried with dlt 1.31; tests/test_kill.py notices a change.
    """
    return (
        pipeline._get_normalize_storage().extracted_packages,
        pipeline._get_load_storage().loaded_packages,
    )


def _reason(error: Exception) -> str:
    """The reason in one line: PostgreSQL's error, or the first line of the innermost cause."""
    cause: BaseException = getattr(error, "exception", None) or error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line for line in str(cause).splitlines() if line.strip()]
    errors = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    return (errors[-1:] or lines[:1] or [type(cause).__name__])[0]
