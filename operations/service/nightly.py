"""All that is done once a night, step by step: one that fails does not stop the rest."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import structlog

from loader.endpoints import TRAIL
from operations.maintenance import prune, timescale
from settings import ROOT, Settings
from warehouse import dbt_runner, run_history
from warehouse.database import Database

log = structlog.get_logger()

Step = Callable[[], None]


class NightlyFailed(Exception):
    """Some steps failed, the others are done; the text names them."""


def run(
    settings: Settings, database: Database, day: date, go_on: Callable[[], None] = lambda: None
) -> None:
    """Build and test everything, check freshness, write documents, keep house.

    `day` is the day whose night it is: it decides which month the report is about. `go_on` is
    asked between the steps and raises what ends the run. Raises NightlyFailed.
    """
    began = datetime.now(UTC)
    failed = []
    with dbt_runner.in_one_process(settings, database):
        for name, step in _steps(settings, database, day).items():
            go_on()
            try:
                step()
            except dbt_runner.DbtInterrupted:
                raise
            except Exception as error:
                log.exception("a step of the night failed", step=name)
                is_dbt = isinstance(error, dbt_runner.DbtFailed)
                told = run_history.failed_nodes(database, began) if is_dbt else []
                failed.append(f"{name}: {', '.join(told) or error}")
                began = datetime.now(UTC)
            else:
                log.info("step done", step=name)
    if failed:
        raise NightlyFailed("; ".join(failed))


def _steps(settings: Settings, database: Database, day: date) -> dict[str, Step]:
    def dbt_run(*arguments: str) -> Step:
        return lambda: dbt_runner.run(settings, database, arguments, lambda *_: None)

    unasked = () if settings.poll_trail else ("--exclude", f"source:raw.{TRAIL}")
    return {
        # Those of units see no data: they are for whoever changes a model.
        "build": dbt_run("build", "--exclude-resource-type", "unit_test"),
        "docs": lambda: _write_docs(settings, database),  # of what that has compiled
        "freshness": dbt_run("source", "freshness", *unasked),
        "report": lambda: _write_report(database, day),
        **_archive(settings, database),
        "engines": lambda: timescale.compress(settings, database),
        "housekeeping": lambda: prune.prune(settings, database),
    }


def _archive(settings: Settings, database: Database) -> dict[str, Step]:
    if settings.raw_retention_days is None:
        return {}
    from operations.maintenance import archive  # late, as it needs much

    age = timedelta(days=settings.raw_retention_days)
    return {"archive": lambda: log.info("archived", rows=archive.archive(settings, database, age))}


def _write_docs(settings: Settings, database: Database) -> None:
    from analyst.docs import site  # late, as it needs much

    site.write(settings, database, ROOT / "public", is_compiled=True)


def _write_report(database: Database, day: date) -> None:
    """The month before: on its first day, and later if that night was missed."""
    from analyst.report import monthly
    from analyst.report.queries import NoData

    month = (day.replace(day=1) - timedelta(days=1)).replace(day=1)
    to = monthly.usual_place(month)
    if day.day > 1 and to.exists():
        return
    try:
        with database.connect() as connection:
            monthly.write(connection, month, None, to)
    except NoData as error:
        log.info("no report", reason=str(error))
