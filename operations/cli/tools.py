"""The commands for whoever works on the product: doctor, psql, exec, demo."""

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from operations.cli.command import Beside, Needs, chosen_database, console, failing, with_raw
from settings import settings
from warehouse.database import DatabaseError

app = typer.Typer()


@app.command()
def doctor() -> None:
    """Check settings, database, roles, token and clocks; say what to do about each fault."""
    import logs
    from operations.service.doctor import checks
    from settings import read_despite_faults

    logs.configure()
    failed = False
    for check in checks(*read_despite_faults()):
        failed |= not check.ok
        mark = "[green]ok  [/]" if check.ok else "[red]FAIL[/]"
        console.print(f"{mark} {check.what:<12} {check.text}", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, name: Beside = None) -> None:
    """Open psql on the product's database, or run psql's own options behind.

    Example: orchestrate.py psql --db fireside_demo
    """
    from warehouse.embedded import psql as run

    with chosen_database(name, Needs.READING) as database, failing(FileNotFoundError):
        raise typer.Exit(run(database, context.args))


@app.command(
    name="exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def execute(context: typer.Context) -> None:
    """Run a tool with the database's and dbt's settings in its environment.

    Example: orchestrate.py exec sqlfluff lint dbt_fireside
    """
    from warehouse.dbt_runner import environment

    if not context.args:
        raise typer.BadParameter("name a tool: orchestrate.py exec TOOL [ARGUMENTS]")
    with (
        chosen_database(needs=Needs.READING) as database,
        failing(FileNotFoundError, PermissionError),
    ):
        with_raw(database)
        tool = subprocess.run(context.args, check=False, env=environment(settings(), database))
        raise typer.Exit(tool.returncode)


@app.command()
def demo(
    traces: Annotated[Path | None, typer.Option(help="Recorded fixes instead of a fleet.")] = None,
    days: Annotated[int, typer.Option(min=1, max=60, help="Days of history.")] = 14,
) -> None:
    """Load a stand-in fleet over real HTTP, build everything, and show yesterday.

    A second run fetches only what is new. Example: orchestrate.py demo
    """
    from operations.cli.demo import run
    from warehouse.dbt_runner import DbtFailed

    with failing(DbtFailed, DatabaseError):
        run(settings(), console, traces, days)
