"""The one way to log: structured lines on standard error, JSON unless it is a terminal."""

import logging
import sys

import structlog


def configure(*, verbose: bool = False) -> None:
    """Send structlog and the standard library's warnings to standard error, in one format.

    Warnings and errors are logged; with `verbose` also every load, call and job worth a line.
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
    # APScheduler warns of each run that it skips because the job still runs: that is intended.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
