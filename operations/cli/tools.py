"""The commands for developers and operators: doctor, psql, exec, demo."""

import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from operations.cli.command import (
    Needs,
    OtherDatabase,
    chosen_database,
    console,
    ensure_raw_tables,
    failing,
)
from operations.cli.json_output import AsJson, print_json
from operations.cli.tables import say
from settings import settings
from warehouse.database import DatabaseError

if TYPE_CHECKING:
    from operations.service.doctor import Check

app = typer.Typer()


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check settings, clock, database, roles and token.

    Says what to do about each fault. Exits with 1 if a check fails.

    Example: orchestrate.py doctor
    """
    import logs
    from operations.service.doctor import checks
    from settings import read_despite_faults

    logs.configure()
    done = []
    for check in checks(*read_despite_faults()):
        done.append(check)
        if not as_json:
            _print_check(check)
    if as_json:
        print_json({"ok": all(check.ok for check in done), "checks": [asdict(c) for c in done]})
    raise typer.Exit(0 if all(check.ok for check in done) else 1)


def _print_check(check: "Check") -> None:
    """Print one check; its text is indented when it wraps."""
    mark = Text("ok  ", "green") if check.ok else Text("FAIL", "red")
    if not console.is_terminal:
        say(f"{mark} {check.what:<12} {check.text}")
        return
    line = Table.grid(padding=(0, 1, 0, 0))
    for width in (4, 12, None):
        line.add_column(width=width, overflow="fold")
    line.add_row(mark, check.what, Text(check.text))
    console.print(line)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[--db NAME] [PSQL OPTIONS]",
)
def psql(context: typer.Context, name: OtherDatabase = None) -> None:
    """Open psql on the product's database.

    Takes any option of psql.

    Example: orchestrate.py psql --db fireside_demo -c "select 1"
    """
    from warehouse.embedded import psql as run

    with chosen_database(name, Needs.READING) as database, failing(FileNotFoundError):
        raise typer.Exit(run(database, context.args))


@app.command(
    name="exec",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="[--db NAME] TOOL [ARGUMENTS]",
)
def execute(context: typer.Context, name: OtherDatabase = None) -> None:
    """Run a tool with the settings of the database and dbt.

    The tool gets them in its environment: PGHOST, DBT_PROJECT_DIR and so on. In a
    shell that was started so, plain dbt works.

    Example: orchestrate.py exec --db fireside_demo bash
    """
    from warehouse.dbt_runner import environment

    if not context.args:
        raise typer.BadParameter("name a tool: orchestrate.py exec TOOL [ARGUMENTS]")
    with (
        chosen_database(name, Needs.READING) as database,
        failing(FileNotFoundError, PermissionError),
    ):
        ensure_raw_tables(database)
        tool = subprocess.run(context.args, check=False, env=environment(settings(), database))
        raise typer.Exit(tool.returncode)


@app.command()
def demo(
    traces: Annotated[
        Path | None, typer.Option(help="Recorded positions (CSV) instead of a made-up fleet.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of history.")] = 14,
) -> None:
    """Load a stand-in fleet, build everything, show yesterday.

    It needs no account: a stand-in Tracksolid answers over real HTTP. The demo has
    a database of its own. A second run fetches only what is new.

    Example: orchestrate.py demo
    """
    from operations.cli.demo import run
    from warehouse.dbt_runner import DbtFailed

    with failing(DbtFailed, DatabaseError):
        run(settings(), console, traces, days)
