"""Faults, one after the other, on two orchestrators, a real PostgreSQL and a live stand-in API.

Each fault has to be over soon after its end (it prints the seconds), with no hand but the restart
policy of the stack, and has to leave a line that says what happened; at the end nothing is lost
that the API still has, nothing invented and nothing there twice. `make test` takes nine of them,
`make chaos` all, in long forms and rounds of a random order.
"""

import json
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from conftest import NOW, settings_for
from troubles import IS_LONG, ROUNDS, TROUBLES, Stack, wait_for

from loader.poll import Loader
from sandbox import Fault, Sandbox, fleet
from warehouse.database import Database
from warehouse.embedded import embedded_url, start_embedded


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A disk of its own for a folder; False where nobody may mount one."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


Key = tuple[str, datetime]
KEYS = {
    "trips": ("track_mileage", "start_time", "startTime"),
    "parking_events": ("parking_report", "start_time", "startTime"),
    "alarms": ("alarm_list", "alarm_time", "alertTime"),
    "position_history": ("track_list", "gps_time", "gpsTime"),
}


def keys_of_the_api(database: Database, table: str, time_name: str) -> set[Key]:
    """What it answered, by device and time."""
    with database.connect() as connection:
        connection.execute("set timezone to 'UTC'")
        rows = connection.execute(f"select imei, body from raw.{table}".encode()).fetchall()
    found = set()
    for imei, body in rows:
        text = json.loads(body)[time_name].replace("T", " ").removesuffix("Z")[:19]
        found.add((imei, datetime.fromisoformat(text).replace(tzinfo=UTC)))
    return found


def keys_of_staging(database: Database, model: str, column: str) -> list[Key]:
    with database.connect() as connection:
        rows = connection.execute(f"select imei, {column} from tracksolid.{model}".encode())
        return rows.fetchall()


def compared(database: Database, clean: Database, began: datetime, until: datetime) -> int:
    """Staging with what the API tells a loader that nothing befell; how many rows there are."""
    rows = 0
    for model, (table, column, name) in KEYS.items():
        held = keys_of_staging(database, model, column)
        known = keys_of_the_api(clean, table, name)
        # The first poll looks a day back.
        due = {key for key in known if began - timedelta(hours=23) <= key[1] < until}
        assert len(due) > 20, model
        assert due <= set(held), f"{model}: lost {sorted(due - set(held))[:3]}"
        if model != "position_history":  # it holds those of the sweep, too
            assert set(held) <= known, f"{model}: invented {sorted(set(held) - known)[:3]}"
        if model != "alarms":  # several at a time
            assert len(held) == len(set(held)), f"{model}: twice"
        rows += len(held)
    return rows


@pytest.mark.timeout(1200 if not IS_LONG else 10_800)
def test_service_recovers_from_every_fault_without_losing_a_record(tmp_path: Path) -> None:
    figures: list[tuple[str, float]] = []
    untold: dict[str, str] = {}
    chance = random.Random(6)
    with ExitStack() as stack_of:
        disk = Path(stack_of.enter_context(tempfile.TemporaryDirectory(prefix="fireside-chaos-")))
        disk.chmod(0o755)
        has_disk = stack_of.enter_context(small_disk(disk / "database", "1500m"))
        has_disk &= stack_of.enter_context(small_disk(tmp_path / "work", "200m"))
        server = start_embedded(disk / "database" / "postgres")
        stack_of.callback(server.cleanup)
        chosen = [
            trouble
            for trouble in TROUBLES
            if (IS_LONG or trouble.is_short) and (has_disk or not trouble.needs_disk)
        ]
        world = fleet(seed=3, days=2, devices=12)
        api = stack_of.enter_context(Sandbox(world, login_interval_seconds=0))
        began = datetime.now(UTC)
        with Stack(tmp_path, api, server) as stack:
            wait_for(lambda: stack.loads()[0] > 0, "for the first build", stack)
            for _ in range(ROUNDS):
                for trouble in chance.sample(chosen, len(chosen)) if IS_LONG else chosen:
                    name = trouble.strike.__name__
                    before = len(stack.log.read_bytes())
                    trouble.strike(stack)
                    struck = time.monotonic()
                    wait_for(lambda: stack.loads()[1], f"{name}: for the database", stack)
                    landed = stack.loads()[1]
                    wait_for(lambda n=landed: stack.loads()[0] > n, f"{name}: for gold", stack)
                    figures.append((name, time.monotonic() - struck))
                    if not re.search(trouble.line, stack.said(before)):
                        untold[name] = stack.said(before)
                    print(f"{name}: {figures[-1][1]:.1f} s", flush=True)  # noqa: T201
            until = datetime.now(UTC) - timedelta(seconds=60)
            runs = "select min(succeeded_at) from dwh_gold.job_runs where job <> 'devices'"

            def all_ran(since: datetime) -> bool:
                with stack.connect() as connection:
                    return connection.execute(runs).fetchone()[0] > since

            for _ in range(2):  # all polls, and then a build after them
                now = datetime.now(UTC)
                wait_for(lambda now=now: all_ran(now), "for every job", stack)
        clean = embedded_url(server).sibling("clean")
        clean.prepare()
        loader = Loader(settings_for(api, clean, tmp_path / "clean"), clean)
        loader.backfill(began - timedelta(hours=30), datetime.now(UTC))
        rows = compared(stack.database, clean, began, until)
    assert not untold, "\n\n".join(f"{name}:\n{said[-3000:]}" for name, said in untold.items())
    worst = max(figures, key=lambda figure: figure[1])
    print(f"{len(figures)} faults, {rows:,} rows, lost 0; slowest {worst[0]}: {worst[1]:.1f} s")  # noqa: T201
    assert len(figures) == ROUNDS * len(chosen) > 7


def test_three_hours_without_the_api_lose_no_record(
    new_database: Callable[[], Database], tmp_path: Path
) -> None:
    patient, clean = new_database(), new_database()
    end = datetime.fromtimestamp(NOW, UTC)
    with Sandbox(fleet(seed=4, days=2, devices=12, now=NOW), login_interval_seconds=0) as api:
        loader = Loader(settings_for(api, patient, tmp_path / "patient"), patient)
        for hours_left in (3, 2, 1, 0):
            if hours_left in (2, 1):
                api.misbehave("*", Fault.RESET, rate=1.0)
            with time_machine.travel(end - timedelta(hours=hours_left)):
                summaries = loader.poll()
            api.clear()
            faults = [fault for summary in summaries for fault in summary.errors]
            assert bool(faults) == (hours_left in (2, 1)), faults
        other = Loader(settings_for(api, clean, tmp_path / "clean"), clean)
        with time_machine.travel(end):
            other.backfill(end - timedelta(hours=27), end)
    for table, _, name in KEYS.values():
        expected = keys_of_the_api(clean, table, name)
        assert len(expected) > 20
        assert expected <= keys_of_the_api(patient, table, name), table
