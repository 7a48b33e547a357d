"""What no job can tell of itself: a database out of reach, a night that is not over in time."""

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
    """Tells of a database that stays out of reach, once, and once of its return."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._since: datetime | None = None
        self._is_told = False

    def goes_on(self, now: datetime, error: Exception) -> None:
        if self._since is None:
            self._since = now
            log.error("the database is out of reach", reason=str(error))
        elif not self._is_told and now - self._since >= DOWN:
            self._is_told = True
            notify.send(self._settings, "the database is out of reach", str(error))

    def is_over(self) -> None:
        if self._is_told:
            notify.send(self._settings, "the database is back", "")
        elif self._since:
            log.warning("the database is back")
        self._since, self._is_told = None, False


class LateNight:
    """Tells once of each night that is not over in time."""

    def __init__(self, settings: Settings, jobs: Sequence[Job]) -> None:
        self._settings = settings
        self._nightly = next((job for job in jobs if job.name == "nightly"), None)
        self._told_of: datetime | None = None

    def look(self, now: datetime, succeeded_at: datetime | None) -> None:
        due = self._nightly and self._nightly.last_due(now)
        if not due or due == self._told_of or now < due + NIGHTLY_LATE:
            return
        if succeeded_at is None or succeeded_at < due:
            self._told_of = due
            notify.send(self._settings, "nightly is late", f"due at {due:%F %H:%M}, not over yet")
