"""Ctrl-C and SIGTERM in a backfill: what has arrived is landed, and the process ends soon."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fleets
import pytest
from conftest import NOW
from databases import Databases
from sandbox_client import unanswered
from waiting import TIMEOUT_S, eventually

import loader.fetcher
from loader.poll import Loader
from sandbox import Fault, Fleet, Sandbox
from settings import ROOT
from warehouse.database import Database

TRAIL = "jimi.device.track.list"
TO = datetime.fromtimestamp(NOW, UTC)
FROM = TO - timedelta(days=3)
FAR_S = 3600.0  # longer than any test waits
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def database(databases: Databases, world: Fleet) -> Database:
    return fleets.registered(databases, world)


@pytest.fixture
def start(sandbox: Sandbox, database: Database, work_dir: Path) -> Iterator[Start]:
    """Starts commands against a fleet that is known already."""
    processes = []

    def begin(*arguments: str, **changed: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url,
            "WORK_DIR": str(work_dir),
            "TRACKSOLID_CALLS_PER_SECOND": "1000",
            "TRACKSOLID_BACKOFF_SECONDS": str(FAR_S),
        }
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "orchestrate.py"), *arguments],
            env=environment | sandbox.environment | changed,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


BACKFILL = ("backfill", "--from", f"{FROM:%F}", "--to", f"{TO:%F}", "--endpoint", "track_list")


def landed(database: Database, table: str) -> int:
    with database.connect() as connection:
        row = connection.execute(f"select count(*) from raw.{table}".encode()).fetchone()
    return int(row[0]) if row else 0


def asked(sandbox: Sandbox) -> int:
    return sum(request.method == TRAIL for request in sandbox.requests)


def until_asked(sandbox: Sandbox, count: int, process: subprocess.Popen[str]) -> None:
    """Wait for so many calls for the trail."""

    def is_asked() -> bool:
        assert process.poll() is None, process.communicate()
        return asked(sandbox) >= count

    eventually(is_asked, f"{count} calls for the trail", context=lambda: asked(sandbox))


def stop(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C and wait until the process says that it stops."""
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "a second Ctrl-C" not in process.stderr.readline():
        assert process.poll() is None


CTRL_C, SIGTERM = (signal.SIGINT, 130), (signal.SIGTERM, 143)  # and the exit codes


@pytest.mark.parametrize(
    ("fault", "number", "code"),
    [
        (Fault.STALL, *CTRL_C),
        pytest.param(Fault.STALL, *SIGTERM, marks=pytest.mark.long),
        pytest.param(Fault.RATE_LIMITED, *CTRL_C, marks=pytest.mark.long),
        pytest.param(Fault.RATE_LIMITED, *SIGTERM, marks=pytest.mark.long),
        pytest.param(Fault.SYSTEM_BUSY, *CTRL_C, marks=pytest.mark.long),
        (Fault.SYSTEM_BUSY, *SIGTERM),
    ],
)
def test_stopped_backfill_lands_what_has_arrived_and_resumes_later(
    start: Start, sandbox: Sandbox, database: Database, fault: Fault, number: int, code: int
) -> None:
    """Twelve devices are answered, then the API answers nobody."""
    sandbox.misbehave(TRAIL, fault, rate=1.0, after=12, seconds=FAR_S)
    running = start(*BACKFILL, TRACKSOLID_PARALLEL_CALLS="4")
    until_asked(sandbox, 15, running)
    running.send_signal(number)
    out, err = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == code, out + err
    assert "Traceback" not in err
    assert "Run the same command again" in err
    count = landed(database, "track_list")
    assert count > 0, out + err
    assert f"{count:,} records are landed" in err

    sandbox.clear()
    before = asked(sandbox)
    again = start(*BACKFILL, TRACKSOLID_BACKOFF_SECONDS="0.01")
    out, err = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 0, out + err
    answered = 12
    assert asked(sandbox) - before == len(sandbox.world.devices) - answered
    assert landed(database, "track_list") > count


def test_a_stop_waits_for_a_second() -> None:
    """Then it lands what has arrived: in all, that takes less than five."""
    assert loader.fetcher.STOP_GRACE_S <= 1


def test_answers_within_the_grace_are_landed(
    loader: Loader, sandbox: Sandbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.fetcher.STOP_GRACE_S", FAR_S)
    with ThreadPoolExecutor(1) as pool:
        with unanswered(sandbox, TRAIL):
            running = pool.submit(loader.backfill, FROM, TO, ["track_list"])
            eventually(lambda: asked(sandbox) >= 3, "three calls for the trail")
            loader.stop()
        (summary,) = running.result(TIMEOUT_S)
    assert 3 <= summary.calls == asked(sandbox) < len(sandbox.world.devices)
    assert 0 < summary.records == landed(database, "track_list")


def test_no_call_begins_after_a_stop(start: Start, sandbox: Sandbox) -> None:
    running = start(*BACKFILL, TRACKSOLID_PARALLEL_CALLS="2", TRACKSOLID_CALLS_PER_SECOND="2")
    until_asked(sandbox, 1, running)
    stop(running)
    before = asked(sandbox)
    out, err = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 130, out + err
    assert asked(sandbox) <= before + 2, "more than the calls that had begun already"


def test_second_ctrl_c_ends_at_once(start: Start, sandbox: Sandbox, database: Database) -> None:
    """Even if what has arrived cannot be landed."""
    sandbox.misbehave(TRAIL, Fault.STALL, rate=1.0, after=3, seconds=FAR_S)
    running = start(*BACKFILL, TRACKSOLID_PARALLEL_CALLS="4")
    until_asked(sandbox, 5, running)
    with database.connect() as connection, connection.transaction():
        connection.execute("lock table raw.api_calls")
        stop(running)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 130, out + err
    assert "are landed" not in err


def test_stopped_poll_asks_no_further_endpoint(start: Start, sandbox: Sandbox) -> None:
    sandbox.misbehave("jimi.track.device.detail", Fault.STALL, rate=1.0, seconds=FAR_S)
    running = start("poll", "device_detail", "location_list")
    eventually(lambda: any("detail" in r.method for r in sandbox.requests), "a call")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 130, out + err
    assert not any(r.method.endswith("location.list") for r in sandbox.requests)
