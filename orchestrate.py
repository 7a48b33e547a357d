"""The command line: puts the commands of operations/cli/ together as one program.

Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

# Each command imports what it needs, so that --help does not wait for dlt and dbt.

import tomllib
from typing import Annotated

import typer

from operations.cli import arrivals, building, polling, serving, takeover, tools
from operations.cli.command import Program
from operations.cli.kpi import app as kpi
from settings import ROOT

app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fireside fleet intelligence: from Tracksolid Pro to KPIs.\n\n"
    "Each command has --help. Exit codes: 0 done, 1 failed, 2 used wrongly.",
)
for group in (serving, polling, arrivals, building, takeover, tools):
    app.add_typer(group.app)
app.add_typer(kpi, name="kpi")


def _print_version(is_wanted: bool) -> None:
    """Print the version of pyproject.toml, which is its only source, and exit."""
    if is_wanted:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        typer.echo(f"{project['name']} {project['version']}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Declare the options of the program itself; each command has its own."""


if __name__ == "__main__":
    app()
