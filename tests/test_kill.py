"""The loader is killed (-9) at random moments; then one normal run completes raw exactly."""

import json
import math
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import NOW, settings_for
from dlt.common.storages.load_package import PackageStorage
from waiting import eventually

from loader.batch import Batch, Origin
from loader.landing import Landing
from loader.poll import Loader
from sandbox import Sandbox, fleet
from settings import ROOT
from warehouse import dbt_runner
from warehouse.database import Database

LAST = datetime.fromtimestamp(NOW, UTC)
WINDOWED = ("track_mileage", "parking_report", "alarm_list", "track_list")
DELIVERED = " union all ".join(
    f"select '{table}' as name, imei, body, record_id, _dlt_load_id from raw.{table}"
    for table in WINDOWED
)
# Per raw table the fields of its key, by the vendor's names.
KEYS = {
    "track_mileage": ("trips", "start_time", ("startTime",)),
    "parking_report": ("parking_events", "start_time", ("startTime",)),
    "alarm_list": ("alarms", "alarm_time", ("alertTypeId", "alertTime")),
    "track_list": ("position_history", "gps_time", ("gpsTime",)),
}


def command(start: datetime, end: datetime) -> list[str]:
    program = [sys.executable, str(ROOT / "orchestrate.py"), "backfill"]
    # The command line expects fleet time, three hours ahead of UTC.
    local = [(t + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S") for t in (start, end)]
    return [*program, "--from", local[0], "--to", local[1]]


def delivered(database: Database) -> set[tuple[str, str, str]]:
    with database.connect() as connection:
        rows = connection.execute(
            f"select distinct name, imei, body from ({DELIVERED}) as all_records"
            " where _dlt_load_id in (select load_id from raw.complete_loads)".encode()
        )
        return set(rows.fetchall())


def load_s(api: Sandbox, run: list[str], quiet: dict, longest_s: float) -> tuple[float, bool]:
    """Run a loader and kill it `longest_s` after its first call; returns (seconds, was killed)."""
    asked = api.requests[-1].at if api.requests else 0.0
    process = subprocess.Popen(run, **quiet)
    eventually(
        lambda: process.poll() is not None or (api.requests and api.requests[-1].at > asked),
        "the loader's first call",
        every_s=0.005,
    )
    began = time.monotonic()
    try:
        process.wait(timeout=None if longest_s == math.inf else longest_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return time.monotonic() - began, True
    assert process.returncode == 0, Path(quiet["stderr"].name).read_text()[-2000:]
    return time.monotonic() - began, False


# A kill that comes too late costs a day.
@pytest.mark.long
@pytest.mark.parametrize(("kills", "days"), [(25, 60)])
def test_kills_lose_nothing_and_need_no_repair(
    new_database, tmp_path: Path, kills: int, days: int
) -> None:
    chance = random.Random(25)
    first = LAST - timedelta(days=days)
    killed, clean = new_database(), new_database()
    Landing(killed, tmp_path / "killed").prepare()
    world = fleet(seed=5, days=days, devices=12, now=NOW)
    with ExitStack() as stack:
        api = stack.enter_context(Sandbox(world, login_interval_seconds=0))
        environment = (
            os.environ
            | api.environment
            | {
                "DATABASE_URL": killed.url,
                "WORK_DIR": str(tmp_path / "killed"),
                "TRACKSOLID_CALLS_PER_SECOND": "1000",
                "TRACKSOLID_BACKOFF_SECONDS": "0.05",
            }
        )
        said = stack.enter_context((tmp_path / "loader.log").open("a"))
        quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": said}
        usual_s, _ = load_s(api, command(first, first + timedelta(days=1)), quiet, math.inf)
        hit = 0
        for number in range(1, days):
            if hit == kills:
                break
            start = first + timedelta(days=number)
            moment_s = chance.uniform(0, usual_s)
            _, was_killed = load_s(api, command(start, start + timedelta(days=1)), quiet, moment_s)
            hit += was_killed
        assert hit == kills

        run = subprocess.run(
            command(first, LAST), env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr

        Loader(settings_for(api, clean, tmp_path / "clean"), clean).backfill(first, LAST)

    expected = delivered(clean)
    assert len(expected) > 330 * days
    assert delivered(killed) == expected

    settings = settings_for(api, killed, tmp_path / "killed")
    dbt_runner.run(
        settings, killed, ["build", "--exclude-resource-type", "unit_test"], lambda *_: None
    )
    for table, (model, time_column, names) in KEYS.items():
        keys = set()
        for name, imei, body in expected:
            if name == table:
                record = json.loads(body)
                keys.add((imei, *(instant(record[n]) for n in names)))
        columns = ["imei", *(["alarm_type"] if len(names) == 2 else []), time_column]
        with killed.connect() as connection:
            connection.execute("set timezone to 'UTC'")
            rows = connection.execute(
                f"select {', '.join(columns)} from tracksolid.{model}".encode()
            )
            held = [tuple(instant(str(value)) for value in row) for row in rows]
        assert len(held) == len(set(held))
        assert set(held) == keys, table


class Killed(BaseException):
    """Raised to end a load abruptly, as kill -9 does."""


@pytest.mark.parametrize("gone", [(), ("schema.json",)], ids=["before", "during"])
def test_kill_while_dlt_deletes_normalized_files(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...]
) -> None:
    def land(record: bytes) -> None:
        batch = Batch()
        origin = Origin(record.decode(), "{}", datetime.fromtimestamp(NOW, UTC))
        batch.add_record("alarm_list", origin, 0, record, "1")
        landing = Landing(database, tmp_path)
        landing.prepare()
        landing.land(batch)

    def delete_package(self: PackageStorage, load_id: str, not_exists_ok: bool = False) -> None:
        if not not_exists_ok:
            for name in gone:
                self.storage.delete(f"{load_id}/{name}")
            raise Killed

    with monkeypatch.context() as deadly:
        deadly.setattr(PackageStorage, "delete_package", delete_package)
        with pytest.raises(Killed):
            land(b'{"imei":"1","n":1}')
    land(b'{"imei":"1","n":2}')
    land(b'{"imei":"1","n":3}')

    with database.connect() as connection:
        rows = connection.execute(
            "select body from raw.alarm_list where _dlt_load_id in"
            " (select load_id from raw.complete_loads) order by body"
        ).fetchall()
    assert rows == [(f'{{"imei":"1","n":{n}}}',) for n in (1, 2, 3)]
    # One leftover folder per minute would fill the disk.
    assert not list(tmp_path.glob("dlt/*/loader/load/*/*"))


def instant(text: str) -> str:
    """Normalise the API's three formats of a time."""
    return text.replace("T", " ").removesuffix("Z").removesuffix("+00:00").removesuffix(".000")
