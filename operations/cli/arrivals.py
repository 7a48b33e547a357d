"""The commands that land data in raw from elsewhere than the API: pushes, archive, CSV files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.command import Verbose, chosen_database, console, failing
from operations.cli.tables import print_table
from settings import settings

if TYPE_CHECKING:
    from operations.imports.csv_file import Kind

app = typer.Typer()


@app.command()
def drain(verbose: Verbose = False) -> None:
    """Move the pushes of the webhook's spool to raw.

    The webhook may run meanwhile.

    Example: orchestrate.py drain
    """
    import logs
    from loader.drain import drain as run
    from loader.landing import Landing, LandingError
    from webhook.spool_reader import SpoolReader

    logs.configure(verbose=verbose)
    with chosen_database() as database, failing(LandingError):
        landing = Landing(database, settings().work_dir)
        landing.prepare()
        done = run(SpoolReader(settings().spool_path), landing)
    rows = [(name, f"{count:,}") for name, count in sorted(done.tables.items())]
    print_table(("raw table", "records"), rows, right=["records"])
    console.print(f"{done.pushes:,} pushes landed, {done.rejected:,} records kept as rejected")


@app.command(name="replay-rejected")
def replay_rejected(verbose: Verbose = False) -> None:
    """Read the records of raw.rejected again, after a fix of the loader.

    Records that can now be read land in raw.

    Example: orchestrate.py replay-rejected
    """
    import logs
    from loader.endpoints import endpoints
    from loader.landing import Landing, LandingError
    from loader.replay import replay_rejected as run

    logs.configure(verbose=verbose)
    with chosen_database() as database, failing(LandingError):
        landing = Landing(database, settings().work_dir)
        landing.prepare()
        tried, landed = run(database, landing, endpoints(settings()))
    console.print(f"{tried:,} rejected records read, {landed:,} records landed")


@app.command(name="restore-archive")
def restore_archive(verbose: Verbose = False) -> None:
    """Bring all archived rows back to raw.

    RAW_RETENTION_DAYS has moved them to ARCHIVE_DIR. A full refresh needs them.

    Example: orchestrate.py restore-archive
    """
    import logs
    from operations.maintenance.archive import restore
    from operations.maintenance.parquet import ArchiveError

    logs.configure(verbose=verbose)
    with chosen_database() as database, failing(ArchiveError):
        restored = restore(settings(), database)
    console.print(f"{restored:,} rows are back in raw")


CsvPath = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, readable=True, metavar="FILE", help="CSV in UTF-8."
    ),
]


@app.command(name="import-jobs")
def import_jobs(file: CsvPath, verbose: Verbose = False) -> None:
    """Import a CSV file of the job system into raw.

    The next build reads it. Importing the same file again changes nothing.

    docs/JOBS.md explains the columns, of which only job_id must be there:
    job_id, service_type, city, created, dispatched, arrived, closed,
    technician, vehicle, customer_class, lat, lng, repeat_of.

    Example: orchestrate.py import-jobs jobs.csv
    """
    from operations.imports.csv_file import JOBS

    _import(file, JOBS, verbose=verbose)


@app.command(name="import-services")
def import_services(file: CsvPath, verbose: Verbose = False) -> None:
    """Import a CSV file of vehicle services into raw.

    The next build counts the km to the next service from the last one.
    Importing the same file again changes nothing.

    docs/SERVICES.md explains the columns: plate, date, odometer, kind.

    Example: orchestrate.py import-services services.csv
    """
    from operations.imports.csv_file import SERVICES

    _import(file, SERVICES, verbose=verbose)


def _import(path: Path, kind: "Kind", *, verbose: bool) -> None:
    """Land a CSV file. Ends with 2 if it is no list of this kind, with 1 if dlt fails."""
    import logs
    from loader.landing import Landing, LandingError
    from operations.imports.csv_file import NotAList, import_csv, read_csv

    logs.configure(verbose=verbose)
    try:
        file = read_csv(path, kind)
    except NotAList as error:
        raise typer.BadParameter(str(error)) from None
    with chosen_database() as database, failing(LandingError):
        landing = Landing(database, settings().work_dir)
        landing.prepare()
        done = import_csv(file, database, landing)
    if done is None:
        console.print(f"{path.name} was imported before: nothing is changed")
        return
    console.print(f"{done.landed:,} {kind.table} landed, {done.rejected:,} lines kept as rejected")
    if file.missing:
        console.print(f"no column {', '.join(file.missing)}: what needs it stays empty")
