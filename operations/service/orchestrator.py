"""`orchestrate.py run`: waits to become leader, then runs the jobs on schedule until stopped."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import structlog

from loader.endpoints import SWEEP
from loader.landing import LandingError
from operations.service import notify, schedule
from operations.service.health import JobMetrics, serving
from operations.service.job_runs import JobRuns
from operations.service.jobs import JobActions, JobFailed
from operations.service.leader import Leader
from operations.service.nightly import NightlyFailed
from operations.service.schedule import ScheduledJob
from operations.service.watchdog import UNREACHABLE, LateNight, Outage
from settings import Settings
from warehouse import dbt_process, dbt_runner
from warehouse.database import Database
from warehouse.full_disk import full_disk

log = structlog.get_logger()

CHECK_INTERVAL_S = 1.0
STOP_TIMEOUT_S = 20.0
# Long enough for most API calls. The slowest take half an hour with their retries, and a build may
# wait as long for another build.
LOST_LOCK_TIMEOUT_S = 60.0
SWEEP_LATE = timedelta(minutes=5)
CLOCK_STEP_S = 60.0

PlanJobs = Callable[[Settings, JobActions], Sequence[ScheduledJob]]


class JobStopped(Exception):
    """A job must end early: the process is stopping, or it is no longer the leader."""


class Stuck(Exception):
    """The lock is lost and some jobs do not end: only a new process can become leader again."""


class Service:
    """One orchestrator, leader or standby. Call `run` in one thread; `stop` from any thread."""

    def __init__(
        self, settings: Settings, database: Database, plan: PlanJobs = schedule.plan
    ) -> None:
        self._settings = settings
        self._database = database
        self._plan = plan
        self._leader = Leader(database)
        self._runs = JobRuns(database)
        self._metrics = JobMetrics()
        self._stop_requested = threading.Event()
        self._jobs_must_end = threading.Event()
        self._running_jobs: set[str] = set()
        self._succeeded_at: dict[str, datetime] = {}
        self._leads_since: datetime | None = None

    def stop(self) -> None:
        """Ask `run` to return: dbt is interrupted, polls land what they have, no job starts."""
        self._stop_requested.set()

    def run(self) -> None:
        """Serve /health and /metrics, wait for the lock, run the jobs; return after `stop`.

        Raises PortTaken if ORCHESTRATOR_PORT is not free, Stuck if this process must be replaced.
        """
        address = (self._settings.orchestrator_host, self._settings.orchestrator_port)
        with serving(*address, self._health, self._metrics) as port:
            log.info("orchestrator started", port=port, database=self._database.safe_url)
            outage = Outage(self._settings)
            while not self._stop_requested.is_set():
                try:
                    is_leader = self._leader.try_acquire()
                    if is_leader:
                        self._lead(outage.report_recovery)
                    else:
                        outage.report_recovery()
                except (psycopg.Error, LandingError, OSError) as error:
                    if isinstance(error, OSError) and not full_disk(error):
                        raise
                    self._leader.release()
                    outage.report_failure(datetime.now(UTC), error)
                self._stop_requested.wait(CHECK_INTERVAL_S)
            self._leader.release()
        log.info("orchestrator stopped")

    def _lead(self, report_recovery: Callable[[], None]) -> None:
        """Run the jobs while the lock is held; return when none is running any more.

        `report_recovery` is called once everything that jobs need is there.
        """
        log.info("became leader")
        self._jobs_must_end.clear()
        work = JobActions(self._settings, self._database, self._raise_if_stopping)
        jobs = self._plan(self._settings, work)
        self._succeeded_at = self._runs.succeeded_at()
        self._leads_since = datetime.now(UTC)
        self._metrics.is_leader.set(1)
        zone = ZoneInfo(self._settings.fleet_timezone)
        scheduler = schedule.scheduler(jobs, self._run_job, self._succeeded_at, zone)
        report_recovery()
        scheduler.start()
        late_night = LateNight(self._settings, jobs)
        offset_s = _clock_offset_s()
        while not self._stop_requested.wait(CHECK_INTERVAL_S) and self._leader.is_held():
            if abs(stepped_s := _clock_offset_s() - offset_s) > CLOCK_STEP_S:
                # After a step back the scheduler would wait until the old time comes again.
                log.warning(
                    "clock jumped or host slept; restarting the schedule",
                    seconds=round(stepped_s),
                )
                break
            offset_s += stepped_s
            late_night.check(datetime.now(UTC), self._succeeded_at.get("nightly"))
        log.info("stopping the running jobs", jobs=sorted(self._running_jobs))
        self._jobs_must_end.set()
        scheduler.shutdown(wait=False)
        self._wait_for_jobs()
        self._metrics.is_leader.set(0)
        self._leads_since = None

    def _wait_for_jobs(self) -> None:
        """Wait, but not for ever: API calls may take minutes, and abandoning them loses nothing."""
        began = time.monotonic()
        while self._running_jobs:
            is_stopping, waited_s = self._stop_requested.is_set(), time.monotonic() - began
            if is_stopping and waited_s > STOP_TIMEOUT_S:
                return
            if not is_stopping and waited_s > LOST_LOCK_TIMEOUT_S:
                raise Stuck(
                    f"{', '.join(sorted(self._running_jobs))}: still running after {waited_s:.0f} s"
                )
            dbt_process.interrupt()
            time.sleep(0.1)

    def _raise_if_stopping(self) -> None:
        if self._stop_requested.is_set() or self._jobs_must_end.is_set():
            raise JobStopped("stopped before it was finished; runs again when due")

    def _run_job(self, job: ScheduledJob) -> None:
        """Run a job; record, count and report the outcome. Raises nothing: the schedule retries."""
        with self._marked_running(job) as may_run:
            if not may_run:
                return
            began = time.monotonic()
            try:
                failures = self._runs.begin(job.name, job.next_after(datetime.now(UTC)))
                try:
                    done = job.run()
                except (JobStopped, dbt_runner.DbtInterrupted) as error:
                    self._runs.stop(job.name, str(error))
                    log.warning("job stopped", reason=str(error))
                    return
                except Exception as error:
                    self._report_failure(job, error, failures, time.monotonic() - began)
                    return
                self._runs.succeed(job.name, done.rows, done.note)
            except psycopg.OperationalError as error:
                # Without a database there is no leader; after reconnecting, all jobs start again.
                what = full_disk(error) or UNREACHABLE
                log.error(f"job run not recorded: {what}", reason=str(error))
                return
            self._succeeded_at[job.name] = datetime.now(UTC)
            took_s = time.monotonic() - began
            self._metrics.ended(job.name, "ok", took_s, done.rows)
            if done.rows or done.note:
                log.info("job done", rows=done.rows, duration_s=round(took_s, 3), note=done.note)
            self._notify(job, failures, 0, done.note or "")

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
        self._running_jobs.add(job.name)
        try:
            with structlog.contextvars.bound_contextvars(
                job=job.name, run_id=uuid.uuid4().hex[:12]
            ):
                yield not self._jobs_must_end.is_set()
        finally:
            self._running_jobs.discard(job.name)

    def _health(self) -> dict[str, object]:
        now = datetime.now(UTC)
        swept_at = self._succeeded_at.get(SWEEP)
        state: dict[str, object] = {"role": "standby" if self._leads_since is None else "leader"}
        state["last_sweep_at"] = swept_at and swept_at.isoformat(timespec="seconds")
        quiet_since = self._leads_since and max(swept_at or self._leads_since, self._leads_since)
        if quiet_since and now - quiet_since > SWEEP_LATE:
            state["problem"] = f"no sweep for {SWEEP_LATE.total_seconds() / 60:.0f} min"
        return state


def _clock_offset_s() -> float:
    """Wall clock minus monotonic clock, in seconds; jumps if the clock is set or the host slept."""
    return time.time() - time.monotonic()
