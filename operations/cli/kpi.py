"""The kpi commands: list, show and explain read gold; preview builds changed models beside it."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from operations.cli.command import Needs, OtherDatabase, chosen_database, errors, failing
from operations.cli.json_output import AsJson, print_json
from settings import settings

if TYPE_CHECKING:
    from psycopg import Connection

    from analyst.kpi.catalogue import Catalogue

app = typer.Typer(no_args_is_help=True, help="List, show and explain KPIs; preview a change.")
Id = Annotated[str, typer.Argument(metavar="ID", help="A KPI's name in kpi list.")]


@app.command(name="list")
def list_kpis(
    domain: Annotated[str | None, typer.Option(help="Only KPIs of this domain.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    as_json: AsJson = False,
    name: OtherDatabase = None,
) -> None:
    """List the KPIs with the fleet's newest value.

    The value is of the newest day that is over, or of now. A dash means that
    there is none; kpi show says why. CSV and JSON have plain numbers.

    Example: orchestrate.py kpi list --domain "Fleet utilisation"
    """
    from analyst.kpi.show import kpi_list
    from operations.cli.kpi_json import kpi_fields
    from operations.cli.kpi_tables import print_list

    with _gold(name) as (connection, catalogue):
        kpis = kpi_list(connection, catalogue, domain)
    if as_json:
        print_json({"kpis": [kpi_fields(known) for known in kpis]})
    elif as_csv:
        rows = [kpi_fields(known) for known in kpis]
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_list(kpis)


@app.command()
def show(kpi_id: Id, as_json: AsJson = False, name: OtherDatabase = None) -> None:
    """Show a KPI: definition, value or why it has none, last 14 days.

    Example: orchestrate.py kpi show fleet.utilisation
    """
    from analyst.kpi.rules import rules_of
    from analyst.kpi.show import history, newest
    from operations.cli.kpi_json import shown_kpi
    from operations.cli.kpi_tables import print_history, print_kpi, print_rules

    with _gold(name) as (connection, catalogue):
        kpi = catalogue.kpi(kpi_id)
        (known,) = newest(connection, [kpi])
        rules, last_days = rules_of(connection, kpi), history(connection, kpi)
    if as_json:
        print_json(shown_kpi(known, rules, last_days))
        return
    print_kpi(known)
    print_rules(rules)
    print_history(kpi, last_days)


@app.command()
def explain(
    kpi_id: Id,
    vehicle: Annotated[str, typer.Option(help="Vehicle id, plate or IMEI.")],
    day: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Day, fleet time."),
    ],
    as_json: AsJson = False,
    name: OtherDatabase = None,
) -> None:
    """Explain a vehicle's value: formula, rules, rows and their sums.

    Example: orchestrate.py kpi explain fleet.utilisation --vehicle "KDB 168K"
    --day 2026-11-23
    """
    from analyst.kpi.explain import explain as run
    from operations.cli.kpi_json import explained_kpi
    from operations.cli.kpi_tables import print_explanation

    with _gold(name) as (connection, catalogue):
        kpi = catalogue.kpi(kpi_id)
        found = run(connection, catalogue, kpi, vehicle, day.date())
    if as_json:
        print_json(explained_kpi(kpi, day.date(), found))
    else:
        print_explanation(kpi, day.date(), found)


@app.command()
def preview(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models or seeds. Default: all modified ones."),
    ] = None,
    name: OtherDatabase = None,
) -> None:
    """Show what a change of models or rules would change.

    Builds the models and all that depend on them in a schema of their own,
    compares with the last build, and drops the schema. Gold is not changed.

    Example: orchestrate.py kpi preview
    """
    from analyst.kpi.preview import preview as run
    from operations.cli.preview_tables import print_preview
    from warehouse.dbt_runner import DbtFailed

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        chosen_database(name) as database,
        failing(DbtFailed),
        _known_names(),
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
    """Yield a connection and the catalogue that gold was built from."""
    from analyst.kpi.catalogue import Catalogue

    with chosen_database(name, Needs.READING) as database, _known_names():
        catalogue = Catalogue.of_gold(settings(), database)
        with database.connect() as connection:
            yield connection, catalogue


@contextmanager
def _known_names() -> Iterator[None]:
    """Exit with 2 if a name is unknown, and print the names that exist."""
    from analyst.kpi.catalogue import Unknown

    try:
        yield
    except Unknown as error:
        raise typer.BadParameter(str(error)) from None
