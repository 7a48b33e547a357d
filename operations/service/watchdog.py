"""Reports faults that no job can report: an unreachable database, a nightly job that is late."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from operations.service import notify
from operations.service.schedule import ScheduledJob
from settings import Settings
from warehouse.full_disk import SERVER, WORK, full_disk

log = structlog.get_logger()

NIGHTLY_LATE = timedelta(hours=2)
DOWN = timedelta(minutes=5)
UNREACHABLE = "database unreachable"
ADVICE = {
    UNREACHABLE: "Check the database server; jobs resume once it answers.",
    WORK: "Free space under WORK_DIR; jobs resume by themselves.",
    SERVER: "Free space on the database server; jobs resume by themselves.",
}


class Outage:
    """Sends one notification when no job can run for long, and one when jobs run again.

    The reason is an unreachable database, a full disk of its server, or a full disk here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._since: datetime | None = None
        self._is_reported = False
        self._what = UNREACHABLE

    def report_failure(self, now: datetime, error: Exception) -> None:
        """Log the first failure of a kind; notify once the outage has lasted for DOWN."""
        what = full_disk(error) or UNREACHABLE
        if self._since is None or what != self._what:
            self._since, self._what, self._is_reported = now, what, False
            log.error(f"{what}; retrying every second", reason=str(error))
        elif not self._is_reported and now - self._since >= DOWN:
            self._is_reported = True
            notify.send(
                self._settings,
                f"{what} for {DOWN.total_seconds() / 60:.0f} minutes",
                f"{error}\n{ADVICE[what]}",
            )

    def report_recovery(self) -> None:
        """Log the end of an outage; notify if the outage was notified. Otherwise do nothing."""
        if self._is_reported:
            notify.send(self._settings, "jobs run again", f"It is over: {self._what}.")
        elif self._since:
            log.warning("jobs run again", after=self._what)
        self._since, self._is_reported = None, False


class LateNight:
    """Sends one notification for each nightly job that has not finished in time."""

    def __init__(self, settings: Settings, jobs: Sequence[ScheduledJob]) -> None:
        self._settings = settings
        self._nightly = next((job for job in jobs if job.name == "nightly"), None)
        self._reported_due: datetime | None = None

    def check(self, now: datetime, succeeded_at: datetime | None) -> None:
        """Notify if the run that was due last is late. `succeeded_at`: the latest success."""
        due = self._nightly and self._nightly.last_due(now)
        if not due or due == self._reported_due or now < due + NIGHTLY_LATE:
            return
        if succeeded_at is None or succeeded_at < due:
            self._reported_due = due
            notify.send(
                self._settings,
                "nightly job is late",
                f"It was due at {due:%F %H:%M %Z} and has not finished."
                " See docs/RUNBOOK.md, section Nightly late.",
            )
