"""Reports what no job can report: an unreachable database, a nightly job that is late."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from operations.service import notify
from operations.service.schedule import Job
from settings import Settings

log = structlog.get_logger()

NIGHTLY_LATE = timedelta(hours=2)
DOWN = timedelta(minutes=5)


class Outage:
    """Sends one notification when the database stays unreachable, and one when it is back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._since: datetime | None = None
        self._is_reported = False

    def report_failure(self, now: datetime, error: Exception) -> None:
        """Log the first failure; notify once the outage has lasted for DOWN."""
        if self._since is None:
            self._since = now
            log.error("database unreachable; retrying every second", reason=str(error))
        elif not self._is_reported and now - self._since >= DOWN:
            self._is_reported = True
            notify.send(
                self._settings,
                f"database unreachable for {DOWN.total_seconds() / 60:.0f} minutes",
                f"{error}\nCheck the database server; jobs resume once it answers.",
            )

    def report_recovery(self) -> None:
        """Log the end of an outage; notify if the outage was notified. Otherwise do nothing."""
        if self._is_reported:
            notify.send(self._settings, "database reachable again", "Jobs are running again.")
        elif self._since:
            log.warning("database reachable again")
        self._since, self._is_reported = None, False


class LateNight:
    """Sends one notification for each nightly job that has not finished in time."""

    def __init__(self, settings: Settings, jobs: Sequence[Job]) -> None:
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
