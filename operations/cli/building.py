"""The commands that build models, and write documentation, monthly report and baseline."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from psycopg.errors import UndefinedTable
from rich.markdown import Markdown

from operations.cli.command import (
    Needs,
    OtherDatabase,
    chosen_database,
    console,
    ensure_raw_tables,
    failing,
)
from operations.cli.tables import say
from settings import ROOT, settings
from warehouse.database import DatabaseError

app = typer.Typer()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[--db NAME] [DBT OPTIONS]",
)
def build(context: typer.Context, name: OtherDatabase = None) -> None:
    """Build and test all models (dbt build).

    Takes any option of dbt build.

    Example: orchestrate.py build --select trips+
    """
    _dbt(["build", *context.args], name)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[--db NAME] COMMAND [DBT OPTIONS]",
)
def dbt(context: typer.Context, name: OtherDatabase = None) -> None:
    """Run any dbt command on the product's database.

    Example: orchestrate.py dbt source freshness
    """
    if not context.args:
        raise typer.BadParameter("name a command of dbt: orchestrate.py dbt COMMAND [OPTIONS]")
    _dbt(context.args, name)


@app.command()
def docs(
    folder: Annotated[
        Path, typer.Option(show_default="public", help="Folder for index.html.")
    ] = ROOT / "public",
    name: OtherDatabase = None,
) -> None:
    """Write the documentation as one HTML file, KPIs first.

    The file opens without a server. The command also rewrites
    docs/KPI_FRAMEWORK.md and the marked parts of CLAUDE.md.

    Example: orchestrate.py docs --db fireside_demo
    """
    from analyst.docs import handbook, site
    from analyst.kpi.catalogue import Catalogue, Unknown
    from warehouse.dbt_runner import DbtFailed, target

    with chosen_database(name, Needs.READING) as database, failing(DbtFailed, Unknown):
        ensure_raw_tables(database)
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
    to: Annotated[
        Path | None, typer.Option(help="File; default: public/report-MONTH[-CITY].html.")
    ] = None,
    name: OtherDatabase = None,
) -> None:
    """Write the management report of a month as one HTML file.

    The file is ready to send or to print.

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
        Path | None, typer.Option(help="A .md or .html file; default: standard output.")
    ] = None,
    name: OtherDatabase = None,
) -> None:
    """Write a report on the state of the fleet at this moment.

    It counts fresh and silent devices, and lists gaps in the registry, vehicles
    near service, anomalies and settings. Positions are live, the rest is as of
    the last build.

    Example: orchestrate.py baseline --to fleet.html
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
    if to is None and console.is_terminal:
        console.print(Markdown(text))
    elif to is None:
        typer.echo(text, nl=False)
    else:
        write(text, to)
        say(f"Baseline: {to}", is_whole=True)


def _dbt(arguments: list[str], name: str | None) -> None:
    from warehouse import dbt_runner as runner

    with chosen_database(name) as database, failing(runner.DbtFailed):
        ensure_raw_tables(database)
        runner.run(settings(), database, arguments)
