"""Runs all or some benchmarks and prints their results: python -m benchmarks [NAME …]."""

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
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}")
    console = Console()
    for name in chosen:
        began = time.monotonic()
        console.print(f"running benchmark {name} …")
        results = importlib.import_module(f"benchmarks.{name}").run()
        table = Table(
            "measure", "result", "target", title=f"{name}, {time.monotonic() - began:.0f} s"
        )
        table.columns[1].justify = "right"
        for result in results:
            value = f"{result.value:,.2f}" if result.value < 100 else f"{result.value:,.0f}"
            table.add_row(result.measure, value, result.target)
        console.print(table)


if __name__ == "__main__":
    main()
