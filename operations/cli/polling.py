"""The commands that ask the API: poll, backfill, locate, audit."""

import csv
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from operations.cli.command import (
    Verbose,
    chosen_database,
    errors,
    failing,
    need_credentials,
)
from operations.cli.json_output import AsJson, print_json
from operations.cli.tables import print_table, say
from settings import settings
from warehouse.database import Database

if TYPE_CHECKING:
    from loader.fetcher import Summary
    from loader.poll import Loader

app = typer.Typer()
Endpoints = Annotated[list[str] | None, typer.Argument(help="Endpoints by name; none means all.")]


@app.command()
def poll(names: Endpoints = None, verbose: Verbose = False) -> None:
    """Fetch what is new from the API into raw.

    Ctrl-C lands what has arrived and ends with exit code 130, SIGTERM with
    143; the next poll goes on from there.

    Example: orchestrate.py poll location_list track_mileage
    """
    from operations.cli.progress import progress_bars

    with (
        _loader(verbose) as loader,
        progress_bars(errors) as progress,
        _stopped_by_signals(loader) as signals,
    ):
        summaries = loader.poll(names or (), progress)
    _report(summaries, signals)


@app.command()
def backfill(
    start: Annotated[datetime, typer.Option("--from", help="First instant, fleet time.")],
    end: Annotated[datetime | None, typer.Option("--to", help="End, fleet time; now.")] = None,
    endpoint: Annotated[list[str] | None, typer.Option(help="Only these endpoints.")] = None,
    imei: Annotated[list[str] | None, typer.Option(help="Only these devices.")] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Fetch it all again: trackers may have sent more."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Fetch a span of the past, except for what raw holds already.

    Ctrl-C lands what has arrived and ends with exit code 130, SIGTERM with
    143; the same command goes on from there.

    Example: orchestrate.py backfill --from 2026-04-01 --to 2026-04-08
    """
    from operations.cli.progress import progress_bars

    zone = ZoneInfo(settings().fleet_timezone)
    since = start.replace(tzinfo=zone)
    until = end.replace(tzinfo=zone) if end else datetime.now(UTC)
    if since >= until:
        raise typer.BadParameter("--from must lie before --to and before now")
    with (
        _loader(verbose) as loader,
        progress_bars(errors) as progress,
        _stopped_by_signals(loader) as signals,
    ):
        summaries = loader.backfill(since, until, endpoint or (), imei or (), progress, again=again)
    _report(summaries, signals)


@app.command()
def locate(
    imeis: Annotated[list[str], typer.Argument(help="IMEIs of the devices.")],
    verbose: Verbose = False,
) -> None:
    """Fetch the newest fix of chosen devices now.

    Example: orchestrate.py locate 860000000000017 860000000000025
    """
    with _loader(verbose) as loader:
        summary = loader.locate(imeis)
    _report([summary])


@app.command()
def audit(
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compare the API's devices with the database, and list what is missing for each.

    Polls the account tree and the device lists first. Example:
    orchestrate.py audit --csv > gaps.csv
    """
    from operations.service.audit import COLUMNS, findings

    with chosen_database() as database:
        with _loader(verbose, database) as loader:
            _check(loader.poll(["child_list", "device_list"]))
        rows = findings(database)
    if as_json:
        print_json({"findings": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
    else:
        _print_findings(rows)


def _print_findings(rows: Sequence[tuple[str | None, ...]]) -> None:
    """One table per finding, whose title says what to do unless that differs by device."""
    say(f"{len(rows)} findings")
    for finding, group in groupby(rows, key=itemgetter(0)):
        devices = [[value or "" for value in row[1:]] for row in group]
        columns = ["imei", "device", "account", "detail"]
        title = f"{finding} ({len(devices)})"
        if len({detail for *_, detail in devices}) == 1:
            title += f": {devices[0][-1]}"
            columns, devices = columns[:-1], [row[:-1] for row in devices]
        print_table(columns, devices, title)


@contextmanager
def _loader(verbose: bool, database: Database | None = None) -> Iterator["Loader"]:
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
def _stopped_by_signals(loader: "Loader") -> Iterator[list[int]]:
    """Inside, SIGINT and SIGTERM stop the loader; a second one ends the process at once.

    Yields the list of the signals that came. The exit code is 128 plus the signal's number.
    """
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        if len(came) > 1:
            errors.show_cursor()
            os._exit(128 + number)
        # Not through the console: the progress bars may be drawing at this moment.
        os.write(2, b"\nstopping: what has arrived is landed; a second Ctrl-C ends at once\n")
        loader.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(summaries: "list[Summary]", signals: Sequence[int] = ()) -> None:
    from operations.cli.progress import print_summaries

    print_summaries(summaries)
    for summary in summaries:
        if summary.missing:
            imeis = sorted(summary.missing)
            more = f" and {len(imeis) - 5} more" if len(imeis) > 5 else ""
            devices = f"{len(imeis)} devices missing: {', '.join(imeis[:5])}{more}"
            say(f"{summary.endpoint}: {devices}")
    if signals:
        landed = sum(summary.records for summary in summaries)
        errors.print(
            f"stopped: {landed:,} records are landed in raw.\n"
            "Run the same command again: it goes on from there.",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(128 + signals[0])
    _check(summaries)


def _check(summaries: "list[Summary]") -> None:
    """Exit with 1 if any question has no answer."""
    faults = [fault for summary in summaries for fault in summary.errors]
    for fault in faults:
        errors.print(f"[red]error:[/] {fault}", highlight=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)
