"""The one command line: the commands of operations/commands/ and analyst/cli.py as one program.

Exit codes: 0 done, 1 failed, 2 used wrongly.
"""

# Each command imports what it needs: --help shall not wait for dlt and dbt.

import typer

from operations.cli import arrivals, building, polling, serving, takeover, tools
from operations.cli.command import Program
from operations.cli.kpi import app as kpi

app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fireside fleet intelligence: Tracksolid Pro to raw to KPIs. Each command has --help.",
)
for group in (serving, polling, arrivals, building, takeover, tools):
    app.add_typer(group.app)
app.add_typer(kpi, name="kpi")

if __name__ == "__main__":
    app()
