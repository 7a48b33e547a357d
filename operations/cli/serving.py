"""The commands of the service: run, migrate, nightly, status."""

import os
import signal
import sys
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import structlog
import typer

from operations.cli.command import (
    Needs,
    OtherDatabase,
    chosen_database,
    console,
    create_raw_tables,
    ensure_raw_tables,
    failing,
    need_credentials,
)
from operations.cli.json_output import AsJson, print_json
from settings import settings

app = typer.Typer()


@app.command()
def run() -> None:
    """Run the service: all jobs on schedule, until Ctrl-C.

    The jobs are poll, drain, build and nightly. /health and /metrics answer on
    ORCHESTRATOR_PORT. A second orchestrator on the same database waits, and
    takes over when the first one ends.

    Example: orchestrate.py run
    """
    import logs
    from operations.service.health import PortTaken
    from operations.service.orchestrator import Service, Stuck

    logs.configure(verbose=True)
    need_credentials()
    is_stuck = False
    with chosen_database(needs=Needs.MIGRATING) as database, failing(PortTaken):
        service = Service(settings(), database)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stop())
        try:
            service.run()
        except Stuck as error:
            structlog.get_logger().error("restarting: some jobs did not end", reason=str(error))
            is_stuck = True
    # Threads in abandoned API calls would keep the process alive.
    sys.stdout.flush()
    if is_stuck:
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very command
    os._exit(0)


@app.command()
def migrate() -> None:
    """Create or update the database's structure.

    Applies pending migrations, creates the tables of raw, and sets the password
    of grafana_ro to GRAFANA_RO_PASSWORD. `run` migrates too. Every other command
    only says what is pending.

    Example: orchestrate.py migrate
    """
    import logs
    from loader.landing import LandingError
    from warehouse.migrate import MigrationError, applied, set_grafana_password

    logs.configure()
    password = settings().grafana_ro_password
    with (
        chosen_database(needs=Needs.MIGRATING) as database,
        failing(MigrationError, LandingError),
        database.connect() as connection,
    ):
        create_raw_tables(database)
        if password is not None:
            set_grafana_password(connection, password.get_secret_value())
        console.print(f"up to date: {', '.join(sorted(applied(connection)))}")


@app.command()
def nightly(
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Fleet time. Default: today."
        ),
    ] = None,
) -> None:
    """Run the nightly job now: build, tests, docs, report.

    It also checks freshness, archives old rows of raw and tidies up. `run` does
    it every night at 02:30, fleet time. The report is of the month before --day.

    Example: orchestrate.py nightly --day 2026-12-01
    """
    import logs
    from operations.service import nightly as night
    from operations.service.job_runs import JobRuns
    from warehouse.dbt_runner import DbtFailed

    logs.configure(verbose=True)
    of = (day or datetime.now(ZoneInfo(settings().fleet_timezone))).date()
    with chosen_database() as database, failing(night.NightlyFailed, DbtFailed):
        ensure_raw_tables(database)
        with JobRuns(database).recorded("nightly"):
            night.run(settings(), database, of)


@app.command()
def status(as_json: AsJson = False, name: OtherDatabase = None) -> None:
    """Show the state of the service on one screen.

    It shows the jobs, the age of the data, the spool, the token, the last build
    and the disk. The service need not be running.

    Example: orchestrate.py status
    """
    from operations.cli.status_screen import print_status, status_fields
    from operations.service.status import read

    with chosen_database(name, Needs.READING) as database:
        state = read(settings(), database)
    if as_json:
        print_json(status_fields(state))
    else:
        print_status(state)
