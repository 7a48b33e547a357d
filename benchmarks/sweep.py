"""Times a location sweep and the part of it that waits for the API; measures memory growth."""

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from dotenv import dotenv_values

from benchmarks.common import Result, scratch_database
from loader.client import TracksolidClient
from loader.endpoints import endpoints
from loader.http import Transport
from loader.poll import Loader
from loader.question import Question
from loader.token import TokenCache
from settings import ROOT, Settings
from warehouse.database import Database

SIZES = (80, 10_000)
ROUNDS = 5
SWEEPS = 500


def run() -> list[Result]:
    results = []
    for devices in SIZES:
        with scratch_database() as (database, folder), stand_in(folder, devices) as given:
            settings = Settings.model_validate(given | {"work_dir": folder / "work"})
            loader = Loader(settings, database)
            loader.poll(["child_list", "device_list"])
            loader.poll(["location_list"])  # not measured: the stand-in computes its fleet
            api_s = statistics.median(_api_alone(settings, database) for _ in range(ROUNDS))
            sweep_s = statistics.median(_sweep(loader) for _ in range(ROUNDS))
            results += [
                Result(f"sweep of {devices:,} devices, s", sweep_s),
                Result("  of which waiting for the API, s", api_s),
            ]
            if devices == SIZES[0]:
                results += _memory(loader)
    return results


def _api_alone(settings: Settings, database: Database) -> float:
    """Seconds of the calls of a sweep without landing."""
    transport = Transport(settings)
    client = TracksolidClient(settings, transport, TokenCache(settings, transport, database))
    endpoint = next(e for e in endpoints(settings) if e.table == "location_list")
    with database.connect() as connection:
        accounts = connection.execute(
            "select distinct request::jsonb ->> 'target' from raw.device_list"
        ).fetchall()
    began = time.perf_counter()
    for (account,) in accounts:
        assert client.ask(Question(endpoint, account, (account,))).error is None
    return time.perf_counter() - began


def _sweep(loader: Loader) -> float:
    """Seconds of one sweep."""
    began = time.perf_counter()
    (summary,) = loader.poll(["location_list"])
    assert not summary.errors
    return time.perf_counter() - began


def _memory(loader: Loader) -> list[Result]:
    """Memory after SWEEPS sweeps, compared with the memory after 10."""
    process, used_mb = psutil.Process(), {}
    for number in range(1, SWEEPS + 1):
        loader.poll(["location_list"])
        if number in (10, SWEEPS):
            gc.collect()
            used_mb[number] = process.memory_info().rss / 2**20
    return [
        Result(
            f"memory after {SWEEPS} sweeps / after 10", used_mb[SWEEPS] / used_mb[10], "about 1"
        ),
        Result("  memory after 500 sweeps, MB", used_mb[SWEEPS]),
    ]


@contextmanager
def stand_in(folder: Path, devices: int, *options: str) -> Iterator[dict[str, object]]:
    """Run the stand-in API as a process; yields the settings of the loader for it."""
    env_file = folder / "sandbox.env"
    command = [sys.executable, "-m", "sandbox", "--devices", str(devices), *options]
    process = subprocess.Popen(
        [*command, "--env-file", str(env_file)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        while not env_file.exists():
            time.sleep(0.1)
        variables = {name.lower(): value for name, value in dotenv_values(env_file).items()}
        yield {name: variables[name] for name in variables if name.startswith("tracksolid_")} | {
            "tracksolid_calls_per_second": 1000
        }
    finally:
        process.terminate()
        process.wait()
