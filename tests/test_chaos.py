"""Injects faults, one by one, into two orchestrators with a real PostgreSQL and a stand-in API.

After each fault the service must recover by itself (the restart policy may restart processes) and
must have logged what happened. At the end, no record that the API still has may be missing,
invented or duplicated. `make test-long` takes nine of the faults,
and `make chaos` all of them, in long forms and rounds of random order.
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
from chaos_faults import IS_LONG, ROUNDS, SERVICE_FAULTS, Stack, wait_for
from conftest import NOW, settings_for

from loader.poll import Loader
from sandbox import Fault, Sandbox, fleet
from warehouse.database import Database
from warehouse.embedded import embedded_url, start_embedded


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mount a small disk at a folder; yields False if this user may not mount."""
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
    """(imei, time) of all records that the API returned."""
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


def assert_nothing_lost(
    database: Database, clean: Database, began: datetime, until: datetime
) -> int:
    """Compare staging with a clean load of the same API; returns the number of rows."""
    rows = 0
    for model, (table, column, name) in KEYS.items():
        held = keys_of_staging(database, model, column)
        known = keys_of_the_api(clean, table, name)
        # The first poll looks back one day.
        due = {key for key in known if began - timedelta(hours=23) <= key[1] < until}
        assert len(due) > 20, model
        assert due <= set(held), f"{model}: lost {sorted(due - set(held))[:3]}"
        if model != "position_history":  # it also holds fixes from sweeps
            assert set(held) <= known, f"{model}: invented {sorted(set(held) - known)[:3]}"
        if model != "alarms":  # several may have the same time
            assert len(held) == len(set(held)), f"{model}: duplicates"
        rows += len(held)
    return rows


@pytest.mark.timeout(1200 if not IS_LONG else 10_800)
@pytest.mark.long
def test_service_recovers_from_every_fault_without_losing_a_record(tmp_path: Path) -> None:
    recoveries: list[tuple[str, float]] = []
    unreported: dict[str, str] = {}
    chance = random.Random(6)
    with ExitStack() as resources:
        disk = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="fireside-chaos-")))
        disk.chmod(0o755)
        has_disk = resources.enter_context(small_disk(disk / "database", "1500m"))
        has_disk &= resources.enter_context(small_disk(tmp_path / "work", "200m"))
        server = start_embedded(disk / "database" / "postgres")
        resources.callback(server.cleanup)
        chosen = [
            fault
            for fault in SERVICE_FAULTS
            if (IS_LONG or fault.is_short) and (has_disk or not fault.needs_disk)
        ]
        world = fleet(seed=3, days=2, devices=12)
        api = resources.enter_context(Sandbox(world, login_interval_seconds=0))
        began = datetime.now(UTC)
        with Stack(tmp_path, api, server) as stack:
            wait_for(lambda: stack.loads()[0] > 0, "the first build", stack)
            for _ in range(ROUNDS):
                for fault in chance.sample(chosen, len(chosen)) if IS_LONG else chosen:
                    name = fault.strike.__name__
                    before = len(stack.log.read_bytes())
                    fault.strike(stack)
                    struck = time.monotonic()
                    wait_for(lambda: stack.loads()[1], f"{name}: the database", stack)
                    landed = stack.loads()[1]
                    wait_for(lambda n=landed: stack.loads()[0] > n, f"{name}: gold", stack)
                    recoveries.append((name, time.monotonic() - struck))
                    if not re.search(fault.line, stack.log_text(before)):
                        unreported[name] = stack.log_text(before)
                    print(f"{name}: {recoveries[-1][1]:.1f} s", flush=True)  # noqa: T201
            until = datetime.now(UTC) - timedelta(seconds=60)
            runs = "select min(succeeded_at) from dwh_gold.job_runs where job <> 'devices'"

            def all_ran(since: datetime) -> bool:
                with stack.connect() as connection:
                    return connection.execute(runs).fetchone()[0] > since

            for _ in range(2):  # first all polls, then a build after them
                now = datetime.now(UTC)
                wait_for(lambda now=now: all_ran(now), "every job", stack)
        clean = embedded_url(server).sibling("clean")
        clean.prepare()
        loader = Loader(settings_for(api, clean, tmp_path / "clean"), clean)
        loader.backfill(began - timedelta(hours=30), datetime.now(UTC))
        rows = assert_nothing_lost(stack.database, clean, began, until)
    assert not unreported, "\n\n".join(
        f"{name}: its log lacks the expected line:\n{log[-3000:]}"
        for name, log in unreported.items()
    )
    worst = max(recoveries, key=lambda recovery: recovery[1])
    print(f"{len(recoveries)} faults, {rows:,} rows, lost 0; slowest {worst[0]}: {worst[1]:.1f} s")  # noqa: T201
    assert len(recoveries) == ROUNDS * len(chosen) > 7


@pytest.mark.long
@pytest.mark.parametrize("hours", [1, 2])
def test_hours_without_the_api_lose_no_record(
    new_database: Callable[[], Database], tmp_path: Path, hours: int
) -> None:
    interrupted, clean = new_database(), new_database()
    end = datetime.fromtimestamp(NOW, UTC)
    with Sandbox(fleet(seed=4, days=2, devices=12, now=NOW), login_interval_seconds=0) as api:
        loader = Loader(settings_for(api, interrupted, tmp_path / "interrupted"), interrupted)
        for hours_left in range(hours + 1, -1, -1):
            if 0 < hours_left <= hours:
                api.misbehave("*", Fault.RESET, rate=1.0)
            with time_machine.travel(end - timedelta(hours=hours_left)):
                summaries = loader.poll()
            api.clear()
            errors = [error for summary in summaries for error in summary.errors]
            assert bool(errors) == (0 < hours_left <= hours), errors
        other = Loader(settings_for(api, clean, tmp_path / "clean"), clean)
        with time_machine.travel(end):
            other.backfill(end - timedelta(hours=24 + hours + 1), end)
    for table, _, name in KEYS.values():
        expected = keys_of_the_api(clean, table, name)
        assert len(expected) > 20
        assert expected <= keys_of_the_api(interrupted, table, name), table
