"""The steps of the nightly job: build, docs, freshness, report, archive, housekeeping."""

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
    """Some steps failed, all others are done. The text names the failed ones and says why."""


def run(
    settings: Settings,
    database: Database,
    day: date,
    raise_if_stopping: Callable[[], None] = lambda: None,
) -> None:
    """Run all steps; a step that fails does not stop the others.

    `day` is the day on which the run was due; the report covers the month before it.
    `raise_if_stopping` is called between steps and may raise to end the run.
    Raises NightlyFailed after the last step if any step failed.
    """
    began = datetime.now(UTC)
    failed = []
    with dbt_runner.in_one_process(settings, database):
        for name, step in _steps(settings, database, day).items():
            raise_if_stopping()
            try:
                step()
            except dbt_runner.DbtInterrupted:
                raise
            except Exception as error:
                log.exception("nightly step failed; the other steps still run", step=name)
                is_dbt = isinstance(error, dbt_runner.DbtFailed)
                nodes = run_history.failed_nodes(database, began) if is_dbt else []
                failed.append(f"{name}: {', '.join(nodes) or error}")
                began = datetime.now(UTC)
            else:
                log.info("nightly step done", step=name)
    if failed:
        raise NightlyFailed("; ".join(failed))


def _steps(settings: Settings, database: Database, day: date) -> dict[str, Step]:
    def dbt_run(*arguments: str) -> Step:
        return lambda: dbt_runner.run(settings, database, arguments, lambda *_: None)

    not_polled = () if settings.poll_trail else ("--exclude", f"source:raw.{TRAIL}")
    return {
        # Unit tests read no data; they run when a model is changed.
        "build": dbt_run("build", "--exclude-resource-type", "unit_test"),
        "docs": lambda: _write_docs(settings, database),  # uses the SQL that the build compiled
        "freshness": dbt_run("source", "freshness", *not_polled),
        "report": lambda: _write_report(database, day),
        **_archive(settings, database),
        "engines": lambda: timescale.compress(settings, database),
        "housekeeping": lambda: prune.prune(settings, database),
    }


def _archive(settings: Settings, database: Database) -> dict[str, Step]:
    if settings.raw_retention_days is None:
        return {}
    from operations.maintenance import archive  # slow to import

    age = timedelta(days=settings.raw_retention_days)
    return {"archive": lambda: log.info("archived", rows=archive.archive(settings, database, age))}


def _write_docs(settings: Settings, database: Database) -> None:
    from analyst.docs import site  # slow to import

    site.write(settings, database, ROOT / "public", is_compiled=True)


def _write_report(database: Database, day: date) -> None:
    """Write last month's report on the first of the month, or later if that night was missed."""
    from analyst.report import monthly
    from analyst.report.queries import NoData

    month = (day.replace(day=1) - timedelta(days=1)).replace(day=1)
    file = monthly.usual_place(month)
    if day.day > 1 and file.exists():
        return
    try:
        with database.connect() as connection:
            monthly.write(connection, month, None, file)
    except NoData as error:
        log.info("no monthly report written: no data", reason=str(error))
