"""The commands of the service: run, nightly, status."""

import os
import signal
import sys
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import structlog
import typer

from operations.cli.command import (
    Beside,
    Needs,
    chosen_database,
    console,
    failing,
    make_raw,
    need_credentials,
    with_raw,
)
from operations.cli.json_output import AsJson, print_json
from settings import settings

app = typer.Typer()


@app.command()
def run() -> None:
    """Run all jobs on schedule (poll, drain, build, nightly) until SIGTERM or Ctrl-C.

    A second orchestrator on the same database waits and takes over if the first one ends.
    /health and /metrics listen on ORCHESTRATOR_PORT. Example: orchestrate.py run
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
    """Apply pending migrations, make raw's tables, set the password of grafana_ro.

    `run` migrates too; every other command only says what is pending. The password is
    GRAFANA_RO_PASSWORD. Example: orchestrate.py migrate
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
        make_raw(database)
        if password is not None:
            set_grafana_password(connection, password.get_secret_value())
        console.print(f"up to date: {', '.join(sorted(applied(connection)))}")


@app.command()
def nightly(
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Fleet time; today."),
    ] = None,
) -> None:
    """Build and test everything, check freshness, write documentation and report, prune.

    `run` does it every night at 02:30, fleet time. Example: orchestrate.py nightly --day 2026-12-01
    """
    import logs
    from operations.service import nightly as night
    from operations.service.job_runs import JobRuns
    from warehouse.dbt_runner import DbtFailed

    logs.configure(verbose=True)
    of = (day or datetime.now(ZoneInfo(settings().fleet_timezone))).date()
    with chosen_database() as database, failing(night.NightlyFailed, DbtFailed):
        with_raw(database)
        with JobRuns(database).recorded("nightly"):
            night.run(settings(), database, of)


@app.command()
def status(as_json: AsJson = False, name: Beside = None) -> None:
    """Show on one screen: jobs, age of the data, spool, token, the last build, disk.

    The service need not be running. Example: orchestrate.py status
    """
    from operations.cli.status_screen import print_status, status_fields
    from operations.service.status import read

    with chosen_database(name, Needs.READING) as database:
        state = read(settings(), database)
    if as_json:
        print_json(status_fields(state))
    else:
        print_status(state)
