"""`orchestrate.py run`: waits for its turn to lead, then runs the jobs until it must stop."""

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
from operations.service.health import Metrics, serving
from operations.service.job_runs import Runs
from operations.service.jobs import JobFailed, Work
from operations.service.leader import Leader
from operations.service.nightly import NightlyFailed
from operations.service.schedule import Job
from operations.service.watchdog import LateNight, Outage
from settings import Settings
from warehouse import dbt_process, dbt_runner
from warehouse.database import Database

log = structlog.get_logger()

BEAT_S = 1.0
PATIENCE_S = 20.0
# Most calls under way end by then; the slowest takes half an hour with its retries, and a build may
# wait as long for another one.
LOST_PATIENCE_S = 60.0
SWEEP_LATE = timedelta(minutes=5)
STEP_S = 60.0

Plan = Callable[[Settings, Work], Sequence[Job]]


class Stopped(Exception):
    """This process has to end what it does: it was told to, or leads no longer."""


class Stuck(Exception):
    """Jobs of a lead that is over do not end, and only a new process can lead beside them."""


class Service:
    """One orchestrator, leading or standing by. `run` in one thread, `stop` from anywhere."""

    def __init__(self, settings: Settings, database: Database, plan: Plan = schedule.plan) -> None:
        self._settings = settings
        self._database = database
        self._plan = plan
        self._leader = Leader(database)
        self._runs = Runs(database)
        self._metrics = Metrics()
        self._told = threading.Event()
        self._ending = threading.Event()
        self._busy: set[str] = set()
        self._succeeded_at: dict[str, datetime] = {}
        self._leads_since: datetime | None = None

    def stop(self) -> None:
        """End the work: dbt is interrupted, polls land what they have, nothing new begins."""
        self._told.set()

    def run(self) -> None:
        """Serve /health and /metrics, wait for the lock, work; return after `stop`.

        Raises PortTaken if ORCHESTRATOR_PORT is not free, Stuck if this process must be replaced.
        """
        place = (self._settings.orchestrator_host, self._settings.orchestrator_port)
        with serving(*place, self._health, self._metrics) as port:
            log.info("orchestrator is up", port=port, database=self._database.safe_url)
            outage = Outage(self._settings)
            while not self._told.is_set():
                try:
                    leads = self._leader.take()
                    outage.is_over()
                    if leads:
                        self._lead()
                except (psycopg.Error, LandingError) as error:
                    self._leader.give_up()
                    outage.goes_on(datetime.now(UTC), error)
                self._told.wait(BEAT_S)
            self._leader.give_up()
        log.info("orchestrator has stopped")

    def _lead(self) -> None:
        """Work for as long as the lock is held, and leave nothing running behind."""
        log.info("leading")
        self._ending.clear()
        jobs = self._plan(self._settings, Work(self._settings, self._database, self._go_on))
        self._succeeded_at = self._runs.succeeded_at()
        self._leads_since = datetime.now(UTC)
        self._metrics.is_leader.set(1)
        zone = ZoneInfo(self._settings.fleet_timezone)
        scheduler = schedule.scheduler(jobs, self._perform, self._succeeded_at, zone)
        scheduler.start()
        late = LateNight(self._settings, jobs)
        clock = _clock()
        while not self._told.wait(BEAT_S) and self._leader.is_held():
            if abs(stepped_s := _clock() - clock) > STEP_S:
                # Set back, a schedule would wait until the old time comes again.
                log.warning(
                    "the clock was stepped, or this host slept: all jobs begin anew",
                    seconds=round(stepped_s),
                )
                break
            clock += stepped_s
            late.look(datetime.now(UTC), self._succeeded_at.get("nightly"))
        log.info("ending the jobs under way", jobs=sorted(self._busy))
        self._ending.set()
        scheduler.shutdown(wait=False)
        self._wait_for_jobs()
        self._metrics.is_leader.set(0)
        self._leads_since = None

    def _wait_for_jobs(self) -> None:
        """Calls of the API may take minutes: who leaves them loses nothing."""
        began = time.monotonic()
        while self._busy:
            is_told, waited_s = self._told.is_set(), time.monotonic() - began
            if is_told and waited_s > PATIENCE_S:
                return
            if not is_told and waited_s > LOST_PATIENCE_S:
                raise Stuck(
                    f"{', '.join(sorted(self._busy))}: still running after {waited_s:.0f} s"
                )
            dbt_process.interrupt()
            time.sleep(0.1)

    def _go_on(self) -> None:
        if self._told.is_set() or self._ending.is_set():
            raise Stopped("stopped before its end")

    def _perform(self, job: Job) -> None:
        """Run a job and note, count and tell how it went. Nothing is raised: its turn will come."""
        with self._under_way(job) as may_run:
            if not may_run:
                return
            began = time.monotonic()
            try:
                failures = self._runs.begin(job.name, job.next_after(datetime.now(UTC)))
                try:
                    done = job.run()
                except (Stopped, dbt_runner.DbtInterrupted) as error:
                    self._runs.stop(job.name, str(error))
                    log.warning("job stopped", reason=str(error))
                    return
                except Exception as error:
                    self._failed(job, error, failures, time.monotonic() - began)
                    return
                self._runs.succeed(job.name, done.rows, done.note)
            except psycopg.OperationalError as error:
                # Without a database there is no leader either: all begins anew when it is back.
                log.error("job is not on record", reason=str(error))
                return
            self._succeeded_at[job.name] = datetime.now(UTC)
            took_s = time.monotonic() - began
            self._metrics.ended(job.name, "ok", took_s, done.rows)
            if done.rows or done.note:
                log.info("job done", rows=done.rows, duration_s=round(took_s, 3), note=done.note)
            self._tell(job, failures, 0, done.note or "")

    def _failed(self, job: Job, error: Exception, failures: int, took_s: float) -> None:
        is_known = isinstance(error, (JobFailed, NightlyFailed))
        message = str(error) if is_known else f"{type(error).__name__}: {error}"
        log.error("job failed", reason=message, exc_info=None if is_known else error)
        self._metrics.ended(job.name, "failed", took_s)
        self._tell(job, failures, self._runs.fail(job.name, message), message)

    def _tell(self, job: Job, before: int, after: int, text: str) -> None:
        if title := notify.news(job.name, before, after):
            notify.send(self._settings, title, text)

    @contextmanager
    def _under_way(self, job: Job) -> Iterator[bool]:
        """Bind the log to this run; yields False if nothing may begin any more."""
        self._busy.add(job.name)
        try:
            with structlog.contextvars.bound_contextvars(
                job=job.name, run_id=uuid.uuid4().hex[:12]
            ):
                yield not self._ending.is_set()
        finally:
            self._busy.discard(job.name)

    def _health(self) -> dict[str, object]:
        now = datetime.now(UTC)
        swept_at = self._succeeded_at.get(SWEEP)
        told: dict[str, object] = {"role": "standby" if self._leads_since is None else "leader"}
        told["last_sweep_at"] = swept_at and swept_at.isoformat(timespec="seconds")
        quiet_since = self._leads_since and max(swept_at or self._leads_since, self._leads_since)
        if quiet_since and now - quiet_since > SWEEP_LATE:
            told["problem"] = f"no sweep for {SWEEP_LATE.total_seconds() / 60:.0f} min"
        return told


def _clock() -> float:
    """Seconds by which the time of day is ahead of the clock that nobody sets and that sleeps."""
    return time.time() - time.monotonic()
