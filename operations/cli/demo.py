"""The demo: loads a stand-in fleet, builds everything, prints yesterday's fleet."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

import logs
from loader.drain import drain
from loader.fetcher import Summary
from loader.landing import Landing
from loader.poll import Loader
from operations.cli.command import chosen_database
from operations.cli.demo_figures import row_counts, show
from operations.cli.demo_processes import StandIn, stand_in, webhook
from operations.cli.progress import progress_bars
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database
from webhook.spool_reader import SpoolReader

FLEET_DATABASE, TRACES_DATABASE = "fireside_demo", "fireside_traces"
REGISTERS = ("child_list", "device_list", "device_detail", "location_list", "fence_list")
SOME_VEHICLES = "select distinct imei from raw.device_list order by imei limit 5"


def run(settings: Settings, console: Console, traces: Path | None, days: int) -> None:
    """Run the demo with `days` of history of a made-up fleet, or with the recorded `traces`.

    A second run adds only what has happened since the first. Raises DatabaseError if the database,
    the webhook or the stand-in does not start, DbtFailed if a model or a test fails.
    """
    logs.configure()
    took: dict[str, float] = {}
    with ExitStack() as stack:
        with _stage(console, took, "database"):
            server = stack.enter_context(chosen_database())
            database = server.sibling(TRACES_DATABASE if traces else FLEET_DATABASE)
            database.prepare()
            console.print(f"  {database.safe_url}", highlight=False)
        with _stage(console, took, "webhook"):
            hook = stack.enter_context(webhook(settings, database))
            console.print(f"  {hook.url}", highlight=False)
        with _stage(console, took, "stand-in API"):
            # It pushes the last 24 hours to the webhook before it answers.
            given = stack.enter_context(stand_in(settings, traces, days, hook))
            console.print(f"  {given.settings.tracksolid_api_url}", highlight=False)
        with _stage(console, took, "load"):
            before = row_counts(database)
            with database.connect() as connection:
                # The new stand-in does not know the token of an earlier one.
                connection.execute("delete from tracksolid.api_token_cache")
            summaries = _load(given, database, console, live=traces is None)
            pushed = drain(SpoolReader(hook.spool), Landing(database, settings.work_dir))
            console.print(f"  {pushed.pushes:,} pushes drained from the spool")
        with _stage(console, took, "dbt build"):
            _build(settings, database, console)
        show(settings, database, summaries, before, took)


def _load(given: StandIn, database: Database, console: Console, *, live: bool) -> list[Summary]:
    loader = Loader(given.settings, database)
    with progress_bars(console) as progress:
        summaries = loader.poll([*REGISTERS, "fence_detail"], progress)
        if live:
            # The backfill ends this morning. The poll fetches the rest, and the trips that were
            # under way, as it does every quarter of an hour in production.
            zone = ZoneInfo(given.settings.fleet_timezone)
            morning = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
            summaries += loader.backfill(given.first, morning, progress=progress)
            windowed = [e.name for e in loader.choose(()) if e.window]
            summaries += loader.poll(windowed, progress)
            with database.connect() as connection:
                some = connection.execute(SOME_VEHICLES).fetchall()
            summaries.append(loader.locate([imei for (imei,) in some]))  # as a dispatcher does
        else:
            summaries += loader.backfill(given.first, given.last, progress=progress)
    return summaries


def _build(settings: Settings, database: Database, console: Console) -> None:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("models and tests", total=None)
        dbt_runner.run(
            settings,
            database,
            ["build"],
            lambda step, of: progress.update(task, completed=step, total=of),
        )


@contextmanager
def _stage(console: Console, took: dict[str, float], name: str) -> Iterator[None]:
    """Print the name of a stage; after the block, put its seconds into `took`."""
    console.rule(name, align="left", characters="·")
    began = time.monotonic()
    yield
    took[name] = time.monotonic() - began
