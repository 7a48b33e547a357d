"""The commands that build from raw: models, documentation, the monthly report, the baseline."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from psycopg.errors import UndefinedTable

from operations.cli.command import Beside, Needs, chosen_database, console, failing, with_raw
from operations.cli.tables import say
from settings import ROOT, settings
from warehouse.database import DatabaseError

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def build(context: typer.Context) -> None:
    """Build and test all models: dbt build, with any of its own options behind.

    Example: orchestrate.py build --select trips+ --full-refresh
    """
    _dbt(["build", *context.args])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def dbt(context: typer.Context) -> None:
    """Run any dbt command on the product's database.

    Example: orchestrate.py dbt source freshness
    """
    if not context.args:
        raise typer.BadParameter("name a command of dbt: orchestrate.py dbt COMMAND [OPTIONS]")
    _dbt(context.args)


@app.command()
def docs(
    folder: Annotated[Path, typer.Option(help="Where index.html goes.")] = ROOT / "public",
    name: Beside = None,
) -> None:
    """Write the documentation, KPIs first, as one file that opens without a server.

    Brings docs/KPI_FRAMEWORK.md and the marked parts of CLAUDE.md up to date as well.
    Example: orchestrate.py docs --db fireside_demo
    """
    from analyst.docs import handbook, site
    from analyst.kpi.catalogue import Catalogue, Unknown
    from warehouse.dbt_runner import DbtFailed, target

    with chosen_database(name, Needs.READING) as database, failing(DbtFailed, Unknown):
        with_raw(database)
        page = site.write(settings(), database, folder)
        manifest = target(settings(), database) / "manifest.json"
    rewritten = handbook.write(Catalogue(manifest))
    for path in (page, *rewritten):
        console.print(f"Written: {path}", soft_wrap=True)


@app.command()
def report(
    month: Annotated[
        datetime, typer.Option(formats=["%Y-%m"], metavar="YYYY-MM", help="Month, fleet time.")
    ],
    city: Annotated[str | None, typer.Option(help="One city instead of all.")] = None,
    to: Annotated[Path | None, typer.Option(help="File; public/report-MONTH[-CITY].html.")] = None,
    name: Beside = None,
) -> None:
    """Write the management report of a month as one HTML file, ready to send or to print.

    Example: orchestrate.py report --month 2026-10 --city Nairobi
    """
    from analyst.report.monthly import usual_place, write
    from analyst.report.queries import NoData, UnknownCity

    to = to or usual_place(month.date(), city)
    with (
        chosen_database(name, Needs.READING) as database,
        database.connect() as connection,
        failing(NoData),
    ):
        try:
            write(connection, month.date(), city, to)
        except UnknownCity as error:
            raise typer.BadParameter(str(error)) from None
    console.print(f"Report: {to}", soft_wrap=True)


@app.command()
def baseline(
    to: Annotated[
        Path | None, typer.Option(help="File, .md or .html; standard output without it.")
    ] = None,
    name: Beside = None,
) -> None:
    """Write the state of the fleet at this moment: devices, gaps, service, anomalies, settings.

    Reads what was built last; positions are live. Example: orchestrate.py baseline --to fleet.html
    """
    from analyst.baseline import baseline as report_on
    from analyst.baseline_file import write
    from loader.endpoints import endpoints

    if to and to.suffix not in (".md", ".html"):
        raise typer.BadParameter("--to must end in .md or .html")
    given = settings()
    is_set = {True: "set", False: "not set"}
    configured = {
        "API account": given.tracksolid_account or "not set",
        "API": given.tracksolid_api_url,
        "Endpoints polled": ", ".join(sorted(each.name for each in endpoints(given))),
        "Pushes": f"WEBHOOK_TOKEN {is_set['WEBHOOK_TOKEN' in os.environ]} here; "
        f"spool {'exists' if given.spool_path.exists() else 'does not exist'}",
        "Notifications": f"NOTIFY_URL {is_set[given.notify_url is not None]}",
    }
    now = datetime.now(ZoneInfo(given.fleet_timezone))
    with chosen_database(name, Needs.READING) as database, database.connect() as connection:
        try:
            text = report_on(connection, now, configured)
        except UndefinedTable:
            raise DatabaseError("gold is not built yet: run orchestrate.py build") from None
    if to is None:
        typer.echo(text, nl=False)
    else:
        write(text, to)
        say(f"Baseline: {to}", is_whole=True)


def _dbt(arguments: list[str]) -> None:
    from warehouse import dbt_runner as runner

    with chosen_database() as database, failing(runner.DbtFailed):
        with_raw(database)
        runner.run(settings(), database, arguments)
