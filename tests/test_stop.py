"""Ctrl-C and SIGTERM in a backfill: what has arrived is landed, and the process ends soon."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import NOW

from loader.poll import Loader
from sandbox import Fault, Sandbox
from settings import ROOT
from warehouse.database import Database

TRAIL = "jimi.device.track.list"
TO = datetime.fromtimestamp(NOW, UTC)
FROM = TO - timedelta(days=3)
WAIT_S = 60
# It takes two seconds, of which one is the grace; four on a busy machine. It took over a minute.
MOST_S = 15
Start = Callable[..., subprocess.Popen[str]]


def until(holds: Callable[[], bool], what: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def start(loader: Loader, sandbox: Sandbox, database: Database, work_dir: Path) -> Iterator[Start]:
    """Starts commands against a fleet that is known already."""
    loader.poll(["child_list", "device_list"])
    processes = []

    def begin(*arguments: str, **changed: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url,
            "WORK_DIR": str(work_dir),
            "TRACKSOLID_CALLS_PER_SECOND": "1000",
            "TRACKSOLID_BACKOFF_SECONDS": "30",
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


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault.STALL, 120.0),
        pytest.param(Fault.RATE_LIMITED, 0.0, marks=pytest.mark.long),
        (Fault.SYSTEM_BUSY, 0.0),
    ],
    ids=["silent sockets", "too many requests", "back-off"],
)
def test_stopped_backfill_lands_what_has_arrived_and_resumes_later(
    start: Start,
    sandbox: Sandbox,
    database: Database,
    number: int,
    code: int,
    fault: Fault,
    seconds: float,
) -> None:
    """Twelve devices are answered, then the API answers nobody."""
    sandbox.misbehave(TRAIL, fault, rate=1.0, after=12, seconds=seconds)
    running = start(*BACKFILL, TRACKSOLID_PARALLEL_CALLS="4")
    until(lambda: asked(sandbox) >= 15, "15 calls for the trail", running)
    began = time.monotonic()
    running.send_signal(number)
    out, err = running.communicate(timeout=WAIT_S)
    took_s = time.monotonic() - began
    assert running.returncode == code, out + err
    assert took_s < MOST_S
    assert "Traceback" not in err
    assert "Run the same command again" in err
    count = landed(database, "track_list")
    assert count > 0, out + err
    assert f"{count:,} records are landed" in err

    sandbox.clear()
    before = asked(sandbox)
    again = start(*BACKFILL, TRACKSOLID_BACKOFF_SECONDS="0.01")
    out, err = again.communicate(timeout=WAIT_S)
    assert again.returncode == 0, out + err
    answered = 12
    assert asked(sandbox) - before == len(sandbox.world.devices) - answered
    assert landed(database, "track_list") > count


def test_answers_within_the_grace_are_landed(
    start: Start, sandbox: Sandbox, database: Database
) -> None:
    sandbox.misbehave(TRAIL, Fault.STALL, rate=1.0, seconds=0.6)
    running = start(*BACKFILL, TRACKSOLID_PARALLEL_CALLS="40")
    until(lambda: asked(sandbox) >= 30, "30 calls for the trail", running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=WAIT_S)
    assert running.returncode == 130, out + err
    assert landed(database, "api_calls") - 2 * len(sandbox.world.accounts) >= 30


def test_second_ctrl_c_ends_at_once(start: Start, sandbox: Sandbox) -> None:
    sandbox.misbehave(TRAIL, Fault.STALL, rate=1.0, seconds=120)
    running = start(*BACKFILL, TRACKSOLID_PARALLEL_CALLS="4")
    until(lambda: asked(sandbox) >= 3, "three calls for the trail", running)
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    while "a second Ctrl-C" not in running.stderr.readline():
        assert running.poll() is None
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    assert running.wait(WAIT_S) == 130
    assert time.monotonic() - began < MOST_S / 5


def test_stopped_poll_asks_no_further_endpoint(start: Start, sandbox: Sandbox) -> None:
    sandbox.misbehave("jimi.track.device.detail", Fault.STALL, rate=1.0, seconds=120)
    running = start("poll", "device_detail", "location_list")
    until(lambda: any("detail" in r.method for r in sandbox.requests), "a call", running)
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=WAIT_S)
    assert running.returncode == 130, out + err
    assert time.monotonic() - began < MOST_S
    assert not any(r.method.endswith("location.list") for r in sandbox.requests)
