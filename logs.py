"""Logging for all programs: structured lines on standard error, as JSON unless it is a terminal."""

import logging
import sys

import structlog


def configure(*, verbose: bool = False) -> None:
    """Send the logs of structlog and of the standard library to standard error, in one format.

    Warnings and errors are logged; with `verbose`, information about loads, calls and jobs too.
    """
    renderer = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    level = logging.INFO if verbose else logging.WARNING
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # APScheduler warns when it skips a run because the job is still running, which is intended.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
