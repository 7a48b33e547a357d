"""What a person sees of a long job: progress bars while it runs, a table of what it did."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loader.poll import Progress as Report
from loader.poll import Summary


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


def summary_table(summaries: Sequence[Summary]) -> Table:
    table = Table("endpoint", "calls", "records", "missing", "errors", "seconds")
    for column in table.columns[1:]:
        column.justify = "right"
    for summary in summaries:
        table.add_row(
            summary.endpoint,
            f"{summary.calls:,}",
            f"{summary.records:,}",
            str(len(summary.missing)),
            str(len(summary.errors)),
            f"{summary.seconds:.1f}",
        )
    return table
