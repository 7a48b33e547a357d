"""The commands for the take-over from the old system: import-legacy, compare-legacy."""

import csv
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from operations.cli.command import Needs, Verbose, chosen_database, errors, failing
from operations.cli.tables import print_table, say
from settings import settings

if TYPE_CHECKING:
    from operations.imports.compare_legacy import VehicleDay
    from operations.imports.legacy import ImportedTable
    from operations.imports.old_system import OldSystem

app = typer.Typer()
OldUrl = Annotated[
    str,
    typer.Option(
        "--from",
        envvar="LEGACY_DATABASE_URL",
        show_envvar=True,
        metavar="postgresql://…",
        help="The old database; reading its schema tracksolid is enough.",
    ),
]
FirstDay = typer.Option(
    formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Default: 6 days before --last."
)
LastDay = typer.Option(
    formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Included. Default: yesterday, fleet time."
)
HEADER = (
    "day", "imei", "vehicle", "old km", "new km", "old trips", "new trips", "old alarms",
    "new alarms", "differs",
)  # fmt: skip
COUNTS = ("records", "kept", "rejected", "in part", "from mm", "from m", "no distance")
REPORT = """
    select raw_table, records_count, kept_count, rejected_count, partly_kept_count,
        from_millimetres_count, from_metres_count, unknown_distance_count
    from tracksolid.legacy_import order by raw_table
"""


@app.command(name="import-legacy")
def import_legacy(url: OldUrl, verbose: Verbose = False) -> None:
    """Import the history of the old system, then build.

    The old system is only read; its tables land in raw.legacy_*. You can stop the
    import and start it again: it goes on from what has landed. Where both systems
    have the same record, this system's copy counts. See docs/MIGRATION.md.

    Example: orchestrate.py import-legacy --from postgresql://reader:secret@old-host:5432/tracksolid_db
    """
    import logs
    from loader.landing import Landing, LandingError
    from operations.cli.progress import progress_bars
    from operations.imports.legacy import import_legacy as run
    from operations.imports.old_system import LegacyError
    from warehouse import dbt_runner

    logs.configure(verbose=verbose)
    with _old_system(url) as old, chosen_database() as database:
        landing = Landing(database, settings().work_dir)
        with failing(LandingError, LegacyError):
            landing.prepare()
            with progress_bars(errors) as progress:
                imported = run(old, database, landing, progress)
        print_imported(imported, old.tables)
        with failing(dbt_runner.DbtFailed):
            dbt_runner.run(settings(), database, ["build", "--exclude-resource-type", "unit_test"])
        with database.connect() as connection:
            print_import_report(connection.execute(REPORT.encode()).fetchall())


@app.command(name="compare-legacy")
def compare_legacy(
    url: OldUrl,
    first: Annotated[datetime | None, FirstDay] = None,
    last: Annotated[datetime | None, LastDay] = None,
    differing: Annotated[
        bool, typer.Option("--differing", help="Show only days that differ.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Compare km, trips and alarms with the old system.

    Prints a row per vehicle and day. Imported data does not count as this
    system's.

    Example: orchestrate.py compare-legacy --from postgresql://… --differing
    """
    from operations.imports.compare_legacy import compare
    from operations.imports.old_system import LegacyError

    zone = settings().fleet_timezone
    today = datetime.now(ZoneInfo(zone)).date()
    until = last.date() if last else today - timedelta(days=1)
    since = first.date() if first else until - timedelta(days=6)
    if since > until:
        raise typer.BadParameter("--first must not lie after --last")
    with (
        _old_system(url) as old,
        chosen_database(needs=Needs.READING) as database,
        failing(LegacyError),
    ):
        days = compare(old, database, zone, since, until)
    shown = [_cells(day) for day in days if day.differs or not differing]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([HEADER, *shown])
        return
    print_comparison(shown)
    old_km, new_km = sum(day.old.km or 0 for day in days), sum(day.new.km or 0 for day in days)
    different = sum(day.differs for day in days)
    say(f"{since} to {until}: {len(days):,} vehicle-days, {different:,} differ.")
    say(f"In all {old_km:,.1f} km in the old system and {new_km:,.1f} km in this one.")


def print_imported(imported: "Sequence[ImportedTable]", tables: Collection[str]) -> None:
    """Print how many rows of each table landed, and which of the old system's tables did not."""
    columns = ("old table", "rows there", "rows read now")
    rows = [(each.table, f"{each.rows:,}", f"{each.landed:,}") for each in imported]
    print_table(columns, rows, right=columns[1:])
    if left := sorted(set(tables) - {each.table for each in imported}):
        say(f"Not imported: {', '.join(left)} (docs/MIGRATION.md says why)")


def print_import_report(rows: Sequence[Sequence[object]]) -> None:
    """Print what the build made of the imported records; a row has a table's name and COUNTS."""
    report = [
        (name, *("" if count is None else f"{count:,}" for count in counts))
        for name, *counts in rows
    ]
    print_table(("raw table", *COUNTS), report, right=COUNTS)
    say(
        "Records neither kept nor rejected were replaced by newer data. Distances of trips"
        " were converted from mm and from m. tracksolid.rejected_records has the reasons for"
        " rejected records."
    )


def print_comparison(cells: Sequence[Sequence[str]]) -> None:
    """Print a row per vehicle and day, with the columns of HEADER."""
    print_table((*HEADER[:-1], "≠"), cells, right=HEADER[3:-1])


def _cells(day: "VehicleDay") -> tuple[str, ...]:
    km = (f"{figures.km:.1f}" if figures.km is not None else "" for figures in (day.old, day.new))
    counts = (day.old.trips, day.new.trips, day.old.alarms, day.new.alarms)
    return (day.day, day.imei, day.plate or "", *km, *map(str, counts), "≠" if day.differs else "")


@contextmanager
def _old_system(url: str) -> "Iterator[OldSystem]":
    from operations.imports.old_system import LegacyError, OldSystem

    with failing(LegacyError):
        yield OldSystem(url)
