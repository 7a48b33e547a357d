"""What the orchestrator's jobs do: poll, drain, build, nightly. schedule.py says when."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg

from loader.drain import drain
from loader.fetcher import Summary
from loader.http import LoginRefused
from loader.landing import LandingError
from loader.poll import Loader
from operations.service import nightly
from settings import Settings
from warehouse import dbt_runner, pending_loads, run_history
from warehouse.database import DBT_ROLE, Database
from webhook import spool_reader
from webhook.spool_reader import SpoolReader

# The nightly job runs the tests. A model that breaks its contract or a constraint fails here too.
FIRST_BUILD = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
LATER_BUILDS = ("run",)
FAULTS_SHOWN = 3
SWEEPS = {"location_list", "location_get"}
# Short lock timeout: the next sweep retries, and live_positions shows the new fixes anyway.
KEEP_NEWEST_FIXES = "set lock_timeout = '1s'; select tracksolid.keep_newest_fixes()"
RETRY_NEXT_SWEEP = (
    psycopg.errors.UndefinedFunction,  # before the first build
    psycopg.errors.UndefinedTable,
    psycopg.errors.LockNotAvailable,  # a full refresh is running
    psycopg.errors.DeadlockDetected,
)
WRITE_SPOOL_STATUS = """
    insert into dwh_gold.spool_status (measured_at, pushes_waiting, oldest_waiting_at, bytes)
    values (%(now)s, %(rows)s, %(oldest)s, %(bytes)s)
    on conflict (is_only) do update set
        measured_at = excluded.measured_at,
        pushes_waiting = excluded.pushes_waiting,
        oldest_waiting_at = excluded.oldest_waiting_at,
        bytes = excluded.bytes
"""


class JobFailed(Exception):
    """A job failed. The text says what failed and why."""


@dataclass(frozen=True)
class JobResult:
    """A job's result: the number of rows landed or written; `note` names parts that failed."""

    rows: int = 0
    note: str | None = None


class JobActions:
    """One method per job. Thread-safe.

    Jobs call `raise_if_stopping` between steps; it raises to end a job early.
    """

    def __init__(
        self, settings: Settings, database: Database, raise_if_stopping: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._database = database
        self._raise_if_stopping = raise_if_stopping
        self._loader = Loader(settings, database)  # all jobs share its call budget
        self._has_built = False

    def poll(self, names: Sequence[str]) -> JobResult:
        """Fetch new data of these endpoints.

        Raises JobFailed if more than half of the calls to one endpoint failed.
        """
        return self._fetched(names, lambda: self._loader.poll(names, self._progress))

    def poll_again(self, names: Sequence[str], span: timedelta) -> JobResult:
        """Fetch the last `span` of these endpoints again, to pick up late data."""
        now = datetime.now(UTC)
        return self._fetched(
            names,
            lambda: self._loader.backfill(
                now - span, now, names, progress=self._progress, again=True
            ),
        )

    def _progress(self, *_: object) -> None:
        self._raise_if_stopping()

    def _fetched(self, names: Sequence[str], fetch: Callable[[], Sequence[Summary]]) -> JobResult:
        try:
            summaries = fetch()
        except psycopg.errors.UndefinedTable as error:
            self._loader.landing.recreate_dropped_tables()  # for the next poll
            raise JobFailed(str(error).splitlines()[0]) from error
        except (LoginRefused, LandingError) as error:
            raise JobFailed(str(error)) from error
        if SWEEPS & set(names):
            self._keep_newest_fixes()
        # Counted per endpoint: an endpoint with a call per device would outweigh all others.
        failed = [summary for summary in summaries if summary.has_failed]
        faults = [fault for summary in failed or summaries for fault in summary.errors]
        note = "; ".join(faults[:FAULTS_SHOWN]) or None
        if len(faults) > FAULTS_SHOWN:
            note = f"{note}; and {len(faults) - FAULTS_SHOWN} more"
        if failed:
            raise JobFailed(note)
        return JobResult(sum(summary.records for summary in summaries), note)

    def drain(self) -> JobResult:
        """Land the pushes in the spool; update dwh_gold.spool_status after each batch."""
        path = self._settings.spool_path
        if not self._write_spool_status():
            return JobResult()

        def after_batch(_: int) -> None:
            self._write_spool_status()
            self._raise_if_stopping()

        try:
            done = drain(SpoolReader(path), self._loader.landing, after_batch)
        except LandingError as error:
            raise JobFailed(str(error)) from error
        note = f"{done.rejected} records in raw.rejected" if done.rejected else None
        return JobResult(sum(done.tables.values()), note)

    def build(self) -> JobResult:
        """Build the models if there are loads that one of them has not read.

        The first build after a start always runs, to create new seeds and models.
        """
        if self._has_built and not pending_loads.exist(self._database):
            return JobResult()
        began = datetime.now(UTC)
        arguments = LATER_BUILDS if self._has_built else FIRST_BUILD
        try:
            dbt_runner.run(self._settings, self._database, arguments, lambda *_: None)
        except dbt_runner.DbtInterrupted:
            raise
        except dbt_runner.DbtFailed as error:
            failed = ", ".join(run_history.failed_nodes(self._database, began))
            reason = f"dbt {arguments[0]}: {failed}" if failed else str(error).splitlines()[0]
            raise JobFailed(reason) from error
        self._has_built = True
        return JobResult(run_history.rows_written(self._database, began))

    def nightly(self, day: date) -> JobResult:
        """Run the nightly steps (nightly.py). Raises nightly.NightlyFailed."""
        began = datetime.now(UTC)
        nightly.run(self._settings, self._database, day, self._raise_if_stopping)
        self._has_built = True
        return JobResult(run_history.rows_written(self._database, began))

    def _keep_newest_fixes(self) -> None:
        """Parse the sweep once now; otherwise every reader of live_positions has to."""
        with (
            suppress(*RETRY_NEXT_SWEEP),
            self._database.acting_as(DBT_ROLE).connect() as connection,
        ):
            connection.execute(KEEP_NEWEST_FIXES)

    def _write_spool_status(self) -> int:
        """Write the spool's state to dwh_gold.spool_status; return the number of pushes in it."""
        path = self._settings.spool_path
        now, found = datetime.now(UTC), None
        if path.exists():
            try:
                found = spool_reader.measure(path)
            except sqlite3.Error as error:
                # Without its table the spool is new: the receiver is just creating it.
                if "no such table" not in str(error):
                    raise JobFailed(
                        f"spool {path} cannot be read: {error}; check SPOOL_PATH"
                    ) from error
        status: dict[str, object] = {"now": now, "rows": 0, "oldest": None, "bytes": 0}
        if found:
            age = timedelta(seconds=found.oldest_age_s)
            status |= {"rows": found.rows, "bytes": found.bytes}
            status["oldest"] = now - age if found.rows else None
        with self._database.connect() as connection:
            connection.execute(WRITE_SPOOL_STATUS, status)
        return found.rows if found else 0
