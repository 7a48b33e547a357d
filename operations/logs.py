"""Structured logs on standard error, as the receiver writes them: JSON unless it is a terminal."""

import logging

from webhook import logs


def configure(*, verbose: bool = False) -> None:
    """Log warnings, and with `verbose` every load and call that is worth a line."""
    logs.configure(logging.INFO if verbose else logging.WARNING)
    # It warns of each run that a job skips because it still runs, which is what it is told to do.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
