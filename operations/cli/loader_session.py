"""What the commands that ask the API share: an open loader, a clean stop, a report at the end."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from operations.cli.command import (
    chosen_database,
    errors,
    failing,
    need_credentials,
    print_error,
)
from operations.cli.tables import say
from settings import settings
from warehouse.database import Database

if TYPE_CHECKING:
    from loader.fetcher import Summary
    from loader.poll import Loader


@contextmanager
def open_loader(verbose: bool, database: Database | None = None) -> Iterator["Loader"]:
    """Yield a loader for `database`, else for the product's own database.

    Ends the command with 2 if credentials are missing or an endpoint is unknown, with 1 if the API
    refuses the login or dlt fails.
    """
    import logs
    from loader.http import LoginRefused
    from loader.landing import LandingError
    from loader.poll import Loader, UnknownEndpoint

    logs.configure(verbose=verbose)
    need_credentials()
    with failing(LandingError, LoginRefused):
        try:
            if database:
                yield Loader(settings(), database)
                return
            with chosen_database() as own:
                yield Loader(settings(), own)
        except UnknownEndpoint as error:
            raise typer.BadParameter(str(error)) from None


@contextmanager
def stopped_by_signals(loader: "Loader") -> Iterator[list[int]]:
    """Let SIGINT or SIGTERM stop the loader; a second signal ends the process at once.

    Yields the list of received signals. The exit code is 128 plus the first signal's number.
    """
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            errors.show_cursor()
            os._exit(128 + number)
        loader.stop()
        # Not through the console: the progress bars may be drawing at this moment.
        os.write(2, b"\nstopping: what has arrived is landed; a second Ctrl-C ends at once\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report(summaries: "list[Summary]", signals: Sequence[int] = ()) -> None:
    """Print what was fetched and which devices the answers lack; exit as `check` does.

    `signals` are those that stopped the loader; then the command says how to go on.
    """
    from operations.cli.progress import print_summaries

    print_summaries(summaries)
    for summary in summaries:
        if summary.missing:
            imeis = sorted(summary.missing)
            more = f" and {len(imeis) - 5} more" if len(imeis) > 5 else ""
            devices = "1 device" if len(imeis) == 1 else f"{len(imeis)} devices"
            say(f"{summary.endpoint}: {devices} missing: {', '.join(imeis[:5])}{more}")
    if signals:
        landed = sum(summary.records for summary in summaries)
        errors.print(
            f"stopped: {landed:,} records are landed in raw.\n"
            "Run the same command again: it goes on from there.",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(128 + signals[0])
    check(summaries)


def check(summaries: "list[Summary]") -> None:
    """Print the calls that failed and exit with 1 if there are any."""
    faults = [fault for summary in summaries for fault in summary.errors]
    for fault in faults:
        print_error(fault)
    if faults:
        raise typer.Exit(1)
