"""Run measurements and print ratios: python -m benchmarks [NAME …]."""

import importlib
import sys
import time

from rich.console import Console
from rich.table import Table

import logs

NAMES = (
    *("landing_beside_copy", "live", "sweep", "daily_build", "intraday", "night"),
    *("dashboards", "receiver", "kills", "whole_service"),
)


def main() -> None:
    logs.configure()
    chosen = sys.argv[1:] or NAMES
    if unknown := set(chosen) - set(NAMES):
        sys.exit(f"no measurement {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    console = Console()
    for name in chosen:
        began = time.monotonic()
        console.print(f"measuring {name} …")
        results = importlib.import_module(f"benchmarks.{name}").run()
        table = Table("what", "figure", "aim", title=f"{name}, {time.monotonic() - began:.0f} s")
        table.columns[1].justify = "right"
        for result in results:
            figure = f"{result.figure:,.2f}" if result.figure < 100 else f"{result.figure:,.0f}"
            table.add_row(result.what, figure, result.aim)
        console.print(table)


if __name__ == "__main__":
    main()
