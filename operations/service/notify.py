"""From what a job did to a message for whoever is on call: what changes is told, nothing twice."""

import structlog

from settings import Settings

log = structlog.get_logger()

# What runs once a day is told of at once; the others run again before anybody could look.
FAILURES = {"devices": 1, "fences": 1, "late": 1, "nightly": 1}
FAILURES_OF_OTHERS = 3


def news(job: str, before: int, after: int) -> str | None:
    """Title of the message due when a job's failures in a row went from `before` to `after`."""
    limit = FAILURES.get(job, FAILURES_OF_OTHERS)
    if after == limit:
        return f"{job} failed" if limit == 1 else f"{job} failed {limit} times in a row"
    if before >= limit and after == 0:
        return f"{job} works again"
    return None


def send(settings: Settings, title: str, text: str) -> None:
    """Send a message to NOTIFY_URL; without it, or if it cannot be sent, the log has it."""
    log.warning("notification", title=title, text=text)
    if settings.notify_url is None:
        return
    import apprise  # takes a second to import

    channel = apprise.Apprise()
    if not channel.add(settings.notify_url.get_secret_value()):
        log.error("NOTIFY_URL is no address that apprise knows; see docs/CONNECTIONS.md")
    elif not channel.notify(title=f"Fireside: {title}", body=text or title):
        log.error("the notification could not be sent; check NOTIFY_URL", title=title)
