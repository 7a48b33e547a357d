"""Progress bars while a poll runs, and a table of what it fetched."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loader.fetcher import Progress as Report
from loader.fetcher import Summary
from operations.cli.tables import print_table


@contextmanager
def progress_bars(console: Console) -> Iterator[Report]:
    """Yield a function that takes (task, steps done, steps in all) and shows a bar per task.

    In a pipe it prints a line per finished task instead.
    """
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    is_drawn = console.is_terminal
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not is_drawn) as progress:
        tasks = {}

        def report(task: str, done: int, of: int) -> None:
            if task not in tasks:
                tasks[task] = progress.add_task(task, total=of)
            progress.update(tasks[task], completed=done, total=of)
            if not is_drawn and done == of:
                console.print(f"{task}: {done} of {of}")

        yield report


def print_summaries(summaries: Sequence[Summary]) -> None:
    """Print a row per endpoint: calls, records, missing devices, errors, seconds."""
    columns = ("endpoint", "calls", "records", "missing", "errors", "seconds")
    rows = [
        (
            summary.endpoint,
            f"{summary.calls:,}",
            f"{summary.records:,}",
            f"{len(summary.missing):,}",
            f"{len(summary.errors):,}",
            f"{summary.seconds:,.1f}",
        )
        for summary in summaries
    ]
    print_table(columns, rows, right=columns[1:])
