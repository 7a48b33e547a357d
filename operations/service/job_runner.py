"""Runs a job when the scheduler calls it: records and counts the outcome, and notifies people."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import structlog

from operations.service import notify
from operations.service.health import JobMetrics
from operations.service.job_runs import JobRuns
from operations.service.jobs import JobFailed
from operations.service.nightly import NightlyFailed
from operations.service.schedule import ScheduledJob
from operations.service.watchdog import UNREACHABLE
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database
from warehouse.full_disk import full_disk

log = structlog.get_logger()


class JobStopped(Exception):
    """A job must end early: the process is stopping, or it is no longer the leader."""


class JobRunner:
    """Runs jobs, several at a time. Thread-safe.

    `running` has the names of the jobs that run now, `succeeded_at` each job's latest success.
    Once `jobs_must_end` is set no job starts.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        metrics: JobMetrics,
        jobs_must_end: threading.Event,
    ) -> None:
        self._settings = settings
        self._runs = JobRuns(database)
        self._metrics = metrics
        self._jobs_must_end = jobs_must_end
        self.running: set[str] = set()
        self.succeeded_at: dict[str, datetime] = {}

    def load_successes(self) -> None:
        """Read the latest success of each job from the database."""
        self.succeeded_at = self._runs.succeeded_at()

    def run(self, job: ScheduledJob) -> None:
        """Run a job; record, count and report the outcome. Raises nothing: the schedule retries."""
        with self._marked_running(job) as may_run:
            if not may_run:
                return
            began = time.monotonic()
            try:
                failures = self._runs.begin(job.name, job.next_after(datetime.now(UTC)))
                try:
                    result = job.run()
                except (JobStopped, dbt_runner.DbtInterrupted) as error:
                    self._runs.stop(job.name, str(error))
                    log.warning("job stopped", reason=str(error))
                    return
                except Exception as error:
                    self._report_failure(job, error, failures, time.monotonic() - began)
                    return
                self._runs.succeed(job.name, result.rows, result.note)
            except psycopg.OperationalError as error:
                # Without a database there is no leader; after reconnecting, all jobs start again.
                reason = full_disk(error) or UNREACHABLE
                log.error(f"job run not recorded: {reason}", reason=str(error))
                return
            self.succeeded_at[job.name] = datetime.now(UTC)
            took_s = time.monotonic() - began
            self._metrics.ended(job.name, "ok", took_s, result.rows)
            if result.rows or result.note:
                log.info(
                    "job done", rows=result.rows, duration_s=round(took_s, 3), note=result.note
                )
            self._notify(job, failures, 0, result.note or "")

    def _report_failure(
        self, job: ScheduledJob, error: Exception, failures: int, took_s: float
    ) -> None:
        is_known = isinstance(error, (JobFailed, NightlyFailed))
        message = str(error) if is_known else f"{type(error).__name__}: {error}"
        log.error("job failed", reason=message, exc_info=None if is_known else error)
        self._metrics.ended(job.name, "failed", took_s)
        failures_now = self._runs.fail(job.name, message)
        hint = "See docs/RUNBOOK.md, section Look first."
        self._notify(job, failures, failures_now, f"{message}\n{hint}")

    def _notify(self, job: ScheduledJob, before: int, after: int, text: str) -> None:
        if title := notify.title_of_change(job.name, before, after):
            notify.send(self._settings, title, text)

    @contextmanager
    def _marked_running(self, job: ScheduledJob) -> Iterator[bool]:
        """Add job and run_id to the log lines of the block; yields False if no job may start."""
        self.running.add(job.name)
        try:
            with structlog.contextvars.bound_contextvars(
                job=job.name, run_id=uuid.uuid4().hex[:12]
            ):
                yield not self._jobs_must_end.is_set()
        finally:
            self.running.discard(job.name)
