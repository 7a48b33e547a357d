"""Notifies the people on call when a job begins to fail and when it works again."""

import structlog

from settings import Settings

log = structlog.get_logger()

# A daily job is reported at its first failure. The others retry within minutes, so only repeated
# failures are reported.
FAILURES = {"devices": 1, "fences": 1, "late": 1, "nightly": 1}
FAILURES_OF_OTHERS = 3


def title_of_change(job: str, before: int, after: int) -> str | None:
    """Return the title to send when a job's failures in a row go from `before` to `after`.

    None means that there is nothing to report.
    """
    limit = FAILURES.get(job, FAILURES_OF_OTHERS)
    if after == limit:
        return f"job {job} failed" if limit == 1 else f"job {job} failed {limit} times in a row"
    if before >= limit and after == 0:
        return f"job {job} recovered"
    return None


def send(settings: Settings, title: str, text: str) -> None:
    """Log a message and send it to NOTIFY_URL, if that is set. If sending fails, log that."""
    log.warning("notification", title=title, text=text)
    if settings.notify_url is None:
        return
    import apprise  # takes a second to import

    channel = apprise.Apprise()
    if not channel.add(settings.notify_url.get_secret_value()):
        log.error("NOTIFY_URL is not an apprise address; see docs/CONNECTIONS.md", title=title)
    elif not channel.notify(title=f"Fireside: {title}", body=text or title):
        log.error("notification not sent; check NOTIFY_URL and the network", title=title)
