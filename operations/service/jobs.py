"""What the jobs of the orchestrator do: poll, drain, build. When they run is in schedule.py."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg

from loader.drain import drain
from loader.http import LoginRefused
from loader.landing import LandingError
from loader.poll import Loader, Summary
from operations.service import nightly
from settings import Settings
from warehouse import dbt_runner, pending_loads, run_history
from warehouse.database import DBT_ROLE, Database
from webhook import spool_reader
from webhook.spool_reader import SpoolReader

# Tests are for the night; models that break their contract or a constraint fail in any build.
FIRST_BUILD = ("build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
LATER_BUILDS = ("run",)
FAULTS_SHOWN = 3
SWEEPS = {"location_list", "location_get"}
# Not for long: what is not kept now is so after the next sweep, and live_positions has it anyway.
KEEP = "set lock_timeout = '1s'; select tracksolid.keep_newest_fixes()"
NOT_NOW = (
    psycopg.errors.UndefinedFunction,  # before the first build
    psycopg.errors.UndefinedTable,
    psycopg.errors.LockNotAvailable,  # a full refresh
    psycopg.errors.DeadlockDetected,
)
SPOOL = """
    insert into dwh_gold.spool_status (measured_at, pushes_waiting, oldest_waiting_at, bytes)
    values (%(now)s, %(rows)s, %(oldest)s, %(bytes)s)
    on conflict (is_only) do update set
        measured_at = excluded.measured_at,
        pushes_waiting = excluded.pushes_waiting,
        oldest_waiting_at = excluded.oldest_waiting_at,
        bytes = excluded.bytes
"""


class JobFailed(Exception):
    """A job did not do what it is for; the text says what failed."""


@dataclass(frozen=True)
class Done:
    """What a job did: records landed or rows written, and what of it did not work."""

    rows: int = 0
    note: str | None = None


class Work:
    """The work of one orchestrator. Thread-safe; `go_on` raises what ends a job that must stop."""

    def __init__(self, settings: Settings, database: Database, go_on: Callable[[], None]) -> None:
        self._settings = settings
        self._database = database
        self._go_on = go_on
        self._loader = Loader(settings, database)  # one for all jobs: they share its budget
        self._has_built = False

    def poll(self, names: Sequence[str]) -> Done:
        """Fetch what is new of these endpoints.

        Raises JobFailed if most questions to one of them had no answer.
        """
        return self._fetched(names, lambda: self._loader.poll(names, self._progress))

    def poll_again(self, names: Sequence[str], span: timedelta) -> Done:
        """Fetch the last days of these endpoints once more, for what trackers sent late."""
        now = datetime.now(UTC)
        return self._fetched(
            names,
            lambda: self._loader.backfill(
                now - span, now, names, progress=self._progress, again=True
            ),
        )

    def _progress(self, *_: object) -> None:
        self._go_on()

    def _fetched(self, names: Sequence[str], fetch: Callable[[], Sequence[Summary]]) -> Done:
        try:
            summaries = fetch()
        except psycopg.errors.UndefinedTable as error:
            self._loader.landing.remake_what_is_gone()  # the next poll finds it
            raise JobFailed(str(error).splitlines()[0]) from error
        except (LoginRefused, LandingError) as error:
            raise JobFailed(str(error)) from error
        if SWEEPS & set(names):
            self._keep_newest_fixes()
        # Each for itself: a call a device would outweigh the few calls of a register.
        failed = [summary for summary in summaries if 2 * len(summary.errors) > summary.asks]
        faults = [fault for summary in failed or summaries for fault in summary.errors]
        note = "; ".join(faults[:FAULTS_SHOWN]) or None
        if len(faults) > FAULTS_SHOWN:
            note = f"{note}; and {len(faults) - FAULTS_SHOWN} more"
        if failed:
            raise JobFailed(note)
        return Done(sum(summary.records for summary in summaries), note)

    def drain(self) -> Done:
        """Land what waits in the spool, and note what still does."""
        path = self._settings.spool_path
        if not self._note_spool():
            return Done()

        def after_batch(_: int) -> None:
            self._note_spool()
            self._go_on()

        try:
            done = drain(SpoolReader(path), self._loader.landing, after_batch)
        except LandingError as error:
            raise JobFailed(str(error)) from error
        note = f"{done.rejected} pieces kept as rejected" if done.rejected else None
        return Done(sum(done.tables.values()), note)

    def build(self) -> Done:
        """Build the models, if there is news for them.

        The first build after a start always runs: that is how new seeds and models arrive.
        """
        if self._has_built and not pending_loads.wait(self._database):
            return Done()
        began = datetime.now(UTC)
        arguments = LATER_BUILDS if self._has_built else FIRST_BUILD
        try:
            dbt_runner.run(self._settings, self._database, arguments, lambda *_: None)
        except dbt_runner.DbtInterrupted:
            raise
        except dbt_runner.DbtFailed as error:
            failed = ", ".join(run_history.failed_nodes(self._database, began))
            said = f"dbt {arguments[0]}: {failed}" if failed else str(error).splitlines()[0]
            raise JobFailed(said) from error
        self._has_built = True
        return Done(run_history.rows_written(self._database, began))

    def nightly(self, day: date) -> Done:
        """All that is done once a night; raises nightly.NightlyFailed."""
        began = datetime.now(UTC)
        nightly.run(self._settings, self._database, day, self._go_on)
        self._has_built = True
        return Done(run_history.rows_written(self._database, began))

    def _keep_newest_fixes(self) -> None:
        """Let a sweep be taken apart once, not by each who looks at live_positions."""
        with suppress(*NOT_NOW), self._database.acting_as(DBT_ROLE).connect() as connection:
            connection.execute(KEEP)

    def _note_spool(self) -> int:
        """Write what waits to dwh_gold.spool_status; returns how many pushes."""
        path = self._settings.spool_path
        now, found = datetime.now(UTC), None
        if path.exists():
            try:
                found = spool_reader.measure(path)
            except sqlite3.Error as error:
                # Without the table its receiver is about to make it.
                if "no such table" not in str(error):
                    raise JobFailed(f"the spool {path} cannot be read: {error}") from error
        status: dict[str, object] = {"now": now, "rows": 0, "oldest": None, "bytes": 0}
        if found:
            age = timedelta(seconds=found.oldest_age_s)
            status |= {"rows": found.rows, "bytes": found.bytes}
            status["oldest"] = now - age if found.rows else None
        with self._database.connect() as connection:
            connection.execute(SPOOL, status)
        return found.rows if found else 0
