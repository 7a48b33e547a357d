"""Which job runs when: the polls as often as endpoints.py says, the rest as it stands here."""

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
from operations.service.jobs import Done, Work
from settings import Settings

DAY = timedelta(days=1)
LATE = timedelta(days=3)  # what a tracker without signal kept, and sent later than look_back
DRAIN_EVERY = timedelta(seconds=10)  # each drain is a load; more often they would be very small
BUILD_EVERY = timedelta(minutes=5)
# Jobs of one lane share its threads, so that none waits for a job of another lane.
LANES = {"sweep": 1, "drain": 1, "poll": 6, "build": 1}


@dataclass(frozen=True)
class Job:
    """Something to do again and again; `lane` names the threads it may use."""

    name: str
    trigger: IntervalTrigger | CronTrigger
    run: Callable[[], Done]
    lane: str

    def next_after(self, now: datetime) -> datetime | None:
        """When it is due next."""
        due: datetime | None = self.trigger.get_next_fire_time(None, now)
        return due

    def last_due(self, now: datetime) -> datetime | None:
        """When it was due last; None for what runs several times a day."""
        if isinstance(self.trigger, IntervalTrigger):
            return None
        return self.next_after(now - DAY)

    def is_overdue(self, now: datetime, succeeded_at: datetime | None) -> bool:
        """At a start: was a run missed? What runs several times a day is always due."""
        due = self.last_due(now)
        return due is None or succeeded_at is None or succeeded_at < due


def plan(settings: Settings, work: Work) -> Sequence[Job]:
    """All jobs of the product."""
    zone = ZoneInfo(settings.fleet_timezone)

    def every(span: timedelta) -> IntervalTrigger:
        return IntervalTrigger(seconds=int(span.total_seconds()), timezone=zone)

    def night() -> Done:
        return work.nightly(night_of(nightly, datetime.now(zone)))

    known = [e for e in endpoints(settings) if settings.poll_trail or e.table != TRAIL]
    often = {e.table: e.every for e in known if e.every < DAY}
    # The trail waits by itself for who had no signal.
    late = [e.name for e in known if e.window and not e.only_moved]
    # An account need not have the right to fences.
    fences = [e.name for e in known if e.table.startswith("fence_")]
    daily = [e.name for e in known if e.every >= DAY and e.name not in fences]
    nightly = Job("nightly", CronTrigger(hour=2, minute=30, timezone=zone), night, "build")
    return (
        *(
            Job(table, every(span), partial(work.poll, [table]), _lane(table))
            for table, span in often.items()
        ),
        Job(
            "late", CronTrigger(hour=1, timezone=zone), partial(work.poll_again, late, LATE), "poll"
        ),
        Job("devices", CronTrigger(hour=2, timezone=zone), partial(work.poll, daily), "poll"),
        Job("fences", CronTrigger(hour=2, timezone=zone), partial(work.poll, fences), "poll"),
        Job("drain", every(DRAIN_EVERY), work.drain, "drain"),
        Job("build", every(BUILD_EVERY), work.build, "build"),
        nightly,
    )


def night_of(nightly: Job, now: datetime) -> date:
    """The day whose night this is: a run that is caught up by day still belongs to its night."""
    due = nightly.last_due(now)
    assert due is not None
    return due.date()


def scheduler(
    jobs: Sequence[Job],
    perform: Callable[[Job], None],
    succeeded_at: Mapping[str, datetime],
    zone: ZoneInfo,
) -> BackgroundScheduler:
    """A scheduler of these jobs, not started: what was missed is due at once.

    A job that still runs is not started again, and runs missed meanwhile become one.
    """
    made = BackgroundScheduler(
        timezone=zone,
        executors={lane: ThreadPoolExecutor(threads) for lane, threads in LANES.items()},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = datetime.now(zone)
    for job in jobs:
        first = {"next_run_time": now} if job.is_overdue(now, succeeded_at.get(job.name)) else {}
        made.add_job(perform, job.trigger, (job,), id=job.name, executor=job.lane, **first)
    return made


def _lane(table: str) -> str:
    return "sweep" if table == SWEEP else "poll"
