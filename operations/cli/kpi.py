"""The kpi commands: from the catalogue and gold to the terminal, nothing computed on the way."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from operations.cli.command import Beside, Needs, chosen_database, console, errors, failing
from settings import settings

if TYPE_CHECKING:
    from psycopg import Connection

    from analyst.kpi.catalogue import Catalogue

app = typer.Typer(no_args_is_help=True, help="The KPIs: list, show, explain, preview a change.")
Id = Annotated[str, typer.Argument(metavar="ID", help="KPI, as kpi list names it.")]


@app.command(name="list")
def list_kpis(
    domain: Annotated[str | None, typer.Option(help="Only KPIs of this domain.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    name: Beside = None,
) -> None:
    """List the KPIs with the fleet's value of the newest full day, or why there is none.

    Example: orchestrate.py kpi list --domain "Fleet utilisation"
    """
    from analyst.kpi.show import Line, kpi_list
    from operations.cli.kpi_tables import print_list

    with _gold(name) as (connection, catalogue):
        lines = kpi_list(connection, catalogue, domain)
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([Line._fields, *lines])
    else:
        print_list(lines)


@app.command()
def show(kpi_id: Id, name: Beside = None) -> None:
    """Show all there is to know about a KPI, and its last 14 days per city.

    Example: orchestrate.py kpi show fleet.utilisation
    """
    from analyst.kpi.rules import rules_of
    from analyst.kpi.show import history
    from operations.cli.kpi_tables import print_kpi, print_rules, print_table

    with _gold(name) as (connection, catalogue):
        kpi = catalogue.kpi(kpi_id)
        known = history(connection, kpi)
        print_kpi(kpi)
        print_rules(rules_of(connection, kpi))
    rows = [
        (day, *(kpi.shown(known.values.get((day, place)), unit=False) for place in known.places))
        for day in known.days
    ]
    title = f"{kpi.meta['label']}, {kpi.meta['unit']}; a dash is not known"
    print_table(("day", *known.places), rows, title, right=known.places)


@app.command()
def explain(
    kpi_id: Id,
    vehicle: Annotated[str, typer.Option(help="Vehicle id, plate or IMEI.")],
    day: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Day, fleet time."),
    ],
    name: Beside = None,
) -> None:
    """Take a number apart: its formula, the rules in it, the rows under it and their sums.

    Example: orchestrate.py kpi explain fleet.utilisation --vehicle "KDA 001A" --day 2026-11-17
    """
    from analyst.kpi.explain import explain as run
    from operations.cli.kpi_tables import print_facts, print_rows, print_rules

    with _gold(name) as (connection, catalogue):
        kpi = catalogue.kpi(kpi_id)
        found = run(connection, catalogue, kpi, vehicle, day.date())
    told = f"not known. {kpi.meta['gate'] or ''}" if found.value is None else kpi.shown(found.value)
    console.print(f"[bold]{kpi.meta['label']}: {told}[/]", highlight=False)
    print_facts(
        {
            "vehicle": f"{found.vehicle_id} in {found.city} on {day.date()}, device {found.imei}",
            "not counted": ", ".join(found.other_imeis)
            and f"device {', '.join(found.other_imeis)}",
            "formula": kpi.meta["formula"],
            "from": f"{kpi.mart.schema}.{kpi.mart.name}.{kpi.column}",
            "days before": "  ".join(
                f"{then:%m-%d}: {kpi.shown(value, unit=False)}"
                for then, value in found.before.items()
            ),
        }
    )
    print_rules(found.rules)
    if found.first_day < day.date():
        console.print(f"Adds up from {found.first_day} on, and so do the rows.", highlight=False)
    for fact in found.facts:
        print_rows(fact)


@app.command()
def preview(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models or seeds by name; none means all modified.")
    ] = None,
    name: Beside = None,
) -> None:
    """Build changed models and what depends on them beside gold, and show what would change.

    Compares with the last `build`; gold is never touched. Example: orchestrate.py kpi preview
    """
    from analyst.kpi.preview import preview as run
    from operations.cli.kpi_tables import print_preview
    from warehouse.dbt_runner import DbtFailed

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        chosen_database(name) as database,
        failing(DbtFailed),
        _asked_rightly(),
        Progress(*columns, console=errors, transient=True) as progress,
    ):
        task = progress.add_task("preview", total=None)
        found = run(
            settings(),
            database,
            models or (),
            lambda step, of: progress.update(task, completed=step, total=of),
        )
    print_preview(found)


@contextmanager
def _gold(name: str | None) -> Iterator[tuple["Connection", "Catalogue"]]:
    """A connection and the catalogue that gold was built from."""
    from analyst.kpi.catalogue import Catalogue

    with chosen_database(name, Needs.READING) as database, _asked_rightly():
        catalogue = Catalogue.of_gold(settings(), database)
        with database.connect() as connection:
            yield connection, catalogue


@contextmanager
def _asked_rightly() -> Iterator[None]:
    """A name that nothing has is wrong use: exit 2, with the names there are."""
    from analyst.kpi.catalogue import Unknown

    try:
        yield
    except Unknown as error:
        raise typer.BadParameter(str(error)) from None
