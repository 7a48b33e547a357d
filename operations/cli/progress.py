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
    """Yield a function that shows (what, done, of how many), one bar for each `what`."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        tasks = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done, total=of)
            if not console.is_terminal and done == of:
                console.print(f"{what}: {done} of {of}")

        yield report


def print_summaries(summaries: Sequence[Summary]) -> None:
    """Print what was asked of each endpoint and what came back."""
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
