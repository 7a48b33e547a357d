"""When each job runs: polls as often as endpoints.py says, all other jobs as set here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from loader.endpoints import SWEEP, TRAIL, endpoints
from operations.service.jobs import JobActions, JobResult
from settings import Settings

DAY = timedelta(days=1)
LATE = timedelta(days=3)  # trackers without signal send data later than look_back covers
DRAIN_EVERY = timedelta(seconds=10)  # each drain is one load; a shorter interval makes tiny loads
BUILD_EVERY = timedelta(minutes=5)
# Threads per lane. A job waits only for jobs of its own lane.
LANES = {"sweep": 1, "drain": 1, "poll": 6, "build": 1}


@dataclass(frozen=True)
class ScheduledJob:
    """A recurring job; `lane` names the threads that it may use."""

    name: str
    trigger: IntervalTrigger | CronTrigger
    run: Callable[[], JobResult]
    lane: str

    def next_after(self, now: datetime) -> datetime | None:
        """Return when the job is due next."""
        due: datetime | None = self.trigger.get_next_fire_time(None, now)
        return due

    def last_due(self, now: datetime) -> datetime | None:
        """Return when a daily job was due last; None for jobs that run several times a day."""
        if isinstance(self.trigger, IntervalTrigger):
            return None
        return self.next_after(now - DAY)

    def is_overdue(self, now: datetime, succeeded_at: datetime | None) -> bool:
        """Return True if the job missed a run. Jobs that run several times a day always did."""
        due = self.last_due(now)
        return due is None or succeeded_at is None or succeeded_at < due


def plan(settings: Settings, actions: JobActions) -> Sequence[ScheduledJob]:
    """Return all jobs of the product."""
    zone = ZoneInfo(settings.fleet_timezone)

    def every(span: timedelta) -> IntervalTrigger:
        return IntervalTrigger(seconds=int(span.total_seconds()), timezone=zone)

    def run_nightly() -> JobResult:
        return actions.nightly(night_of(nightly, datetime.now(zone)))

    known = [e for e in endpoints(settings) if settings.poll_trail or e.table != TRAIL]
    often = {e.table: e.every for e in known if e.every < DAY}
    # The trail endpoint waits for devices without signal by itself (only_moved).
    late = [e.name for e in known if e.window and not e.only_moved]
    # A job of its own, because an account may lack the right to read fences.
    fences = [e.name for e in known if e.table.startswith("fence_")]
    daily = [e.name for e in known if e.every >= DAY and e.name not in fences]
    nightly = ScheduledJob(
        "nightly", CronTrigger(hour=2, minute=30, timezone=zone), run_nightly, "build"
    )
    return (
        *(
            ScheduledJob(table, every(span), partial(actions.poll, [table]), _lane(table))
            for table, span in often.items()
        ),
        ScheduledJob(
            "late",
            CronTrigger(hour=1, timezone=zone),
            partial(actions.poll_again, late, LATE),
            "poll",
        ),
        ScheduledJob(
            "devices", CronTrigger(hour=2, timezone=zone), partial(actions.poll, daily), "poll"
        ),
        ScheduledJob(
            "fences", CronTrigger(hour=2, timezone=zone), partial(actions.poll, fences), "poll"
        ),
        ScheduledJob("drain", every(DRAIN_EVERY), actions.drain, "drain"),
        ScheduledJob("build", every(BUILD_EVERY), actions.build, "build"),
        nightly,
    )


def night_of(nightly: ScheduledJob, now: datetime) -> date:
    """Return the day on which the nightly run was due, also for a run that catches up later."""
    due = nightly.last_due(now)
    assert due is not None
    return due.date()


def scheduler(
    jobs: Sequence[ScheduledJob],
    run_job: Callable[[ScheduledJob], None],
    succeeded_at: Mapping[str, datetime],
    zone: ZoneInfo,
) -> BackgroundScheduler:
    """Return a scheduler of these jobs, not started. Overdue jobs run at once.

    A job never runs twice at a time; all runs that it missed while it was running become one.
    """
    made = BackgroundScheduler(
        timezone=zone,
        executors={lane: ThreadPoolExecutor(threads) for lane, threads in LANES.items()},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = datetime.now(zone)
    for job in jobs:
        first = {"next_run_time": now} if job.is_overdue(now, succeeded_at.get(job.name)) else {}
        made.add_job(run_job, job.trigger, (job,), id=job.name, executor=job.lane, **first)
    return made


def _lane(table: str) -> str:
    return "sweep" if table == SWEEP else "poll"
