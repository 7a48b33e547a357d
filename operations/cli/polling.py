"""The commands that ask the API: poll, backfill, locate, audit."""

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from operations.cli.command import Verbose, chosen_database, errors
from operations.cli.json_output import AsJson, print_json
from operations.cli.loader_session import check, open_loader, report, stopped_by_signals
from operations.cli.tables import print_table, say
from settings import settings

app = typer.Typer()
Endpoints = Annotated[
    list[str] | None, typer.Argument(metavar="ENDPOINT", help="Default: all endpoints.")
]
Start = Annotated[
    datetime,
    typer.Option(
        "--from",
        metavar="YYYY-MM-DD",
        help="First day, fleet time; a time of day may follow: T06:00:00.",
    ),
]
End = Annotated[
    datetime | None,
    typer.Option("--to", metavar="YYYY-MM-DD", help="End, not included, fleet time. Default: now."),
]


@app.command()
def poll(names: Endpoints = None, verbose: Verbose = False) -> None:
    """Fetch new data from the API into raw.

    Ctrl-C and SIGTERM end it with exit code 130 and 143. What has arrived is
    landed, and the next poll goes on from there.

    Example: orchestrate.py poll location_list track_mileage
    """
    from operations.cli.progress import progress_bars

    with (
        open_loader(verbose) as loader,
        progress_bars(errors) as progress,
        stopped_by_signals(loader) as signals,
    ):
        summaries = loader.poll(names or (), progress)
    report(summaries, signals)


@app.command()
def backfill(
    start: Start,
    end: End = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="Only this endpoint; may be repeated.")
    ] = None,
    imei: Annotated[
        list[str] | None, typer.Option(help="Only this device; may be repeated.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Also fetch what raw holds: trackers may have sent more."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Fetch a past period from the API, except what raw holds.

    Ctrl-C and SIGTERM end it with exit code 130 and 143. What has arrived is
    landed, and the same command goes on from there.

    Example: orchestrate.py backfill --from 2026-04-01 --to 2026-04-08
    """
    from operations.cli.progress import progress_bars

    zone = ZoneInfo(settings().fleet_timezone)
    since = start.replace(tzinfo=zone)
    until = end.replace(tzinfo=zone) if end else datetime.now(UTC)
    if since >= until:
        raise typer.BadParameter("--from must lie before --to and before now")
    with (
        open_loader(verbose) as loader,
        progress_bars(errors) as progress,
        stopped_by_signals(loader) as signals,
    ):
        summaries = loader.backfill(since, until, endpoint or (), imei or (), progress, again=again)
    report(summaries, signals)


@app.command()
def locate(
    imeis: Annotated[list[str], typer.Argument(metavar="IMEI", help="One device or more.")],
    verbose: Verbose = False,
) -> None:
    """Fetch the newest position of some devices now.

    Example: orchestrate.py locate 860000000000017 860000000000025
    """
    with open_loader(verbose) as loader:
        summary = loader.locate(imeis)
    report([summary])


@app.command()
def audit(
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compare the API's devices with the database.

    Lists devices that only one side has, devices that are silent, and fields
    that nobody has filled in. Polls the accounts and the device lists first.

    Example: orchestrate.py audit --csv > gaps.csv
    """
    from operations.service.audit import COLUMNS, findings

    with chosen_database() as database:
        with open_loader(verbose, database) as loader:
            check(loader.poll(["child_list", "device_list"]))
        rows = findings(database)
    if as_json:
        print_json({"findings": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
    else:
        _print_findings(rows)


def _print_findings(rows: Sequence[tuple[str | None, ...]]) -> None:
    """Print a table per finding. Its title says what to do, unless that differs by device."""
    say(f"{len(rows)} findings")
    for finding, group in groupby(rows, key=itemgetter(0)):
        devices = [[value or "" for value in row[1:]] for row in group]
        columns = ["imei", "device", "account", "detail"]
        title = f"{finding} ({len(devices)})"
        if len({detail for *_, detail in devices}) == 1:
            title += f": {devices[0][-1]}"
            columns, devices = columns[:-1], [row[:-1] for row in devices]
        print_table(columns, devices, title)
