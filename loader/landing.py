"""From answers to the raw schema, through dlt: Arrow tables, parquet, ADBC; append only.

A load counts when raw.complete_loads lists it. No cursor lives in dlt's state: what
was fetched is read from raw itself (coverage.py), and record_id makes a replay harmless.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

# dlt reads these when it is imported; what a user has set wins.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")  # its errors reach us as exceptions

import dlt
import fasteners
import psycopg2  # type: ignore[import-untyped]
import structlog
from dlt.common.exceptions import DltException
from dlt.common.storages import PackageStorage
from dlt.pipeline.exceptions import PipelineStepFailed

from loader.batch import SCHEMAS, Batch
from loader.endpoints import SWEEP
from loader.raw_tables import DATASET, declared, finish
from warehouse.database import LOADER_ROLE, Database

log = structlog.get_logger()

# If the loader is killed before this insert, the load's time is unknown and readers scan every
# chunk. An empty load gets now().
LOAD_TIME = """
    insert into raw.load_times (load_id, first_fetched_at) values (%s, coalesce(%s, now()))
    on conflict (load_id) do nothing
"""
# dlt does not look whether its tables exist: it believes its note of the schema, _dlt_version.
GONE = """
    select name from unnest(%s::text[]) as declared (name)
    where to_regclass('raw.' || name || %s) is null
"""
# The index that finish() adds; if it is missing, dlt has recreated the table.
INDEX = "_dlt_load_id"
REMADE = "insert into raw.remade_tables (table_name) select unnest(%s::text[])"


class LandingError(Exception):
    """dlt could not load a package; it is kept and settled by the next run."""


# The file lock keeps processes apart, but not the threads of one. Every load except a sweep queues
# in _line, so a sweep waits for at most two loads.
_thread_turn, _line = threading.Lock(), threading.Lock()


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
            self._schema.update_table(declared(table, arrow))
        self._pipeline = dlt.pipeline(
            pipeline_name="loader",
            pipelines_dir=str(folder),
            destination=dlt.destinations.postgres(self._database.url),
            dataset_name=DATASET,
        )

    def prepare(self) -> None:
        """Load what a killed run left, and make every table of raw and its indexes.

        Raises LandingError if the database refuses.
        """
        with self._turn():
            self._pipeline.schemas.save_schema(self._schema)
            self._sync()
            self._remake("")
            self._settle()
            with self._database.connect() as connection:
                finish(connection)

    def land(self, batch: Batch) -> str | None:
        """Append a batch; returns its load id, None if there was nothing.

        Raises LandingError if dlt fails; the package stays in the work folder.
        """
        resources = {
            name: dlt.resource([table], name=name, write_disposition="append")
            for name, table in batch.tables()
        }
        if not resources:
            return None
        with self._turn(is_in_line=SWEEP not in resources):
            self._remake(INDEX)
            self._settle()  # with a package pending, dlt would load that and ignore the new data
            try:
                info = self._pipeline.run(
                    list(resources.values()), schema=self._schema, loader_file_format="parquet"
                )
            except PipelineStepFailed as error:
                raise LandingError(f"load failed at {error.step}: {_why(error)}") from error
            self._forget_loaded()
        load_id: str = info.loads_ids[0]
        with self._database.connect() as connection:
            connection.execute(LOAD_TIME.encode(), [load_id, batch.first_fetched_at()])
        log.info("landed", load_id=load_id, **batch.counts())
        return load_id

    @contextmanager
    def _turn(self, *, is_in_line: bool = True) -> Iterator[None]:
        with _line if is_in_line else nullcontext(), _thread_turn, self._process_turn:
            yield

    def remake_what_is_gone(self) -> None:
        """Recreate dropped tables of raw, log and note it: polls then fetch the last day again."""
        with self._turn():
            self._remake(INDEX)

    def _remake(self, proof: str) -> None:
        """Recreate dropped tables: one that is missing would make every load fail.

        A table without its index (`proof`) counts as dropped, too: a load has recreated it.
        """
        with self._database.connect() as connection:
            gone = [name for (name,) in connection.execute(GONE.encode(), [list(SCHEMAS), proof])]
            if not gone:
                return
            log.error(
                "tables of raw are gone and are recreated, empty: polls fetch the last day again,"
                " backfill fetches what the API still has",
                tables=[f"{DATASET}.{name}" for name in gone],
            )
            connection.execute("delete from raw._dlt_version")
            self._sync()
            finish(connection)
            connection.execute(REMADE.encode(), [gone])

    def _sync(self) -> None:
        try:
            self._pipeline.sync_schema(self._schema.name)
        except (DltException, psycopg2.Error) as error:
            raise LandingError(f"the tables of raw could not be made: {_why(error)}") from error

    def _settle(self) -> None:
        if not self._pipeline.has_pending_data:
            return
        log.warning("settling a package that an earlier run left")
        extracted, _ = _package_stores(self._pipeline)
        for load_id in self._pipeline.list_normalized_load_packages():
            # dlt moves a normalized package to its place, and then deletes its source file by
            # file. Killed in between, it would fail at this source for ever.
            extracted.delete_package(load_id, not_exists_ok=True)
        try:
            self._pipeline.normalize()
            self._pipeline.load()
        except PipelineStepFailed as error:
            raise LandingError(f"pending load failed at {error.step}: {_why(error)}") from error

    def _forget_loaded(self) -> None:
        """Delete what dlt keeps of packages that are in the database: a folder a minute."""
        _, loaded = _package_stores(self._pipeline)
        for load_id in loaded.list_packages():
            loaded.delete_package(load_id)


def _package_stores(pipeline: dlt.Pipeline) -> tuple[PackageStorage, PackageStorage]:
    """dlt's folders of extracted and of loaded packages: the only place that reads its own parts.

    dlt has no public way to delete a package that it has normalized already (killed in between,
    it would fail at its source for ever), nor one that is loaded (a folder a minute). Tried with
    dlt 1.31; tests/test_kill.py notices a change.
    """
    return (
        pipeline._get_normalize_storage().extracted_packages,
        pipeline._get_load_storage().loaded_packages,
    )


def _why(error: Exception) -> str:
    """What went wrong in one line: PostgreSQL's error, or the first line of the innermost cause."""
    cause: BaseException = getattr(error, "exception", None) or error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line for line in str(cause).splitlines() if line.strip()]
    said = [line.partition("ERROR:")[2].strip() for line in lines if "ERROR:" in line]
    return (said[-1:] or lines[:1] or [type(cause).__name__])[0]
