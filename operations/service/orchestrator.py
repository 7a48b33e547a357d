"""`orchestrate.py run`: waits to become leader, then runs the jobs on schedule until stopped."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import structlog

from loader.endpoints import SWEEP
from loader.landing import LandingError
from operations.service import schedule
from operations.service.health import JobMetrics, serving
from operations.service.job_runner import JobRunner, JobStopped
from operations.service.jobs import JobActions
from operations.service.leader import Leader
from operations.service.schedule import ScheduledJob
from operations.service.watchdog import LateNight, Outage
from settings import Settings
from warehouse import dbt_process
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
        self._metrics = JobMetrics()
        self._stop_requested = threading.Event()
        self._jobs_must_end = threading.Event()
        self._runner = JobRunner(settings, database, self._metrics, self._jobs_must_end)
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
        """Run the jobs while the lock is held; return once all of them have ended.

        `report_recovery` is called once everything that jobs need is there.
        """
        log.info("became leader")
        self._jobs_must_end.clear()
        actions = JobActions(self._settings, self._database, self._raise_if_stopping)
        jobs = self._plan(self._settings, actions)
        self._runner.load_successes()
        self._leads_since = datetime.now(UTC)
        self._metrics.is_leader.set(1)
        zone = ZoneInfo(self._settings.fleet_timezone)
        succeeded_at = self._runner.succeeded_at
        offset_s = _clock_offset_s()  # before the scheduler reads the clock: no step is missed
        scheduler = schedule.scheduler(jobs, self._runner.run, succeeded_at, zone)
        report_recovery()
        scheduler.start()
        late_night = LateNight(self._settings, jobs)
        while not self._stop_requested.wait(CHECK_INTERVAL_S) and self._leader.is_held():
            if abs(stepped_s := _clock_offset_s() - offset_s) > CLOCK_STEP_S:
                # After a step back the scheduler would wait until the old time comes again.
                log.warning(
                    "clock jumped or host slept; restarting the schedule",
                    seconds=round(stepped_s),
                )
                break
            offset_s += stepped_s
            late_night.check(datetime.now(UTC), succeeded_at.get("nightly"))
        log.info("stopping the running jobs", jobs=sorted(self._runner.running))
        self._jobs_must_end.set()
        scheduler.shutdown(wait=False)
        self._wait_for_jobs()
        self._metrics.is_leader.set(0)
        self._leads_since = None

    def _wait_for_jobs(self) -> None:
        """Wait until the jobs have ended or the timeout is over: ending them loses no data."""
        began = time.monotonic()
        while self._runner.running:
            is_stopping, waited_s = self._stop_requested.is_set(), time.monotonic() - began
            if is_stopping and waited_s > STOP_TIMEOUT_S:
                return
            if not is_stopping and waited_s > LOST_LOCK_TIMEOUT_S:
                names = ", ".join(sorted(self._runner.running))
                raise Stuck(f"{names}: still running after {waited_s:.0f} s")
            dbt_process.interrupt()
            time.sleep(0.1)

    def _raise_if_stopping(self) -> None:
        if self._stop_requested.is_set() or self._jobs_must_end.is_set():
            raise JobStopped("stopped before it was finished; runs again when due")

    def _health(self) -> dict[str, object]:
        now = datetime.now(UTC)
        swept_at = self._runner.succeeded_at.get(SWEEP)
        state: dict[str, object] = {"role": "standby" if self._leads_since is None else "leader"}
        state["last_sweep_at"] = swept_at and swept_at.isoformat(timespec="seconds")
        quiet_since = self._leads_since and max(swept_at or self._leads_since, self._leads_since)
        if quiet_since and now - quiet_since > SWEEP_LATE:
            state["problem"] = f"no sweep for {SWEEP_LATE.total_seconds() / 60:.0f} min"
        return state


def _clock_offset_s() -> float:
    """Return wall clock minus monotonic clock, in seconds. It jumps if the host slept."""
    return time.time() - time.monotonic()
