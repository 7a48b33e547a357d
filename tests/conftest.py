"""What tests share: one PostgreSQL for the session, a database for each test, a stand-in API."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sandbox_client import SandboxClient, whole_fleet

from loader.landing import Landing
from loader.poll import Loader
from sandbox import Fleet, Sandbox, fleet
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import Database
from warehouse.embedded import embedded_url, start_embedded

SHARED = ROOT.parent / "shared"
NOW = int(datetime(2026, 11, 18, 9, 30, tzinfo=UTC).timestamp())  # a Wednesday, 12:30 in Nairobi


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    """The session's own server. (Another pytest may close pytest's own temporary folder to it.)"""
    with tempfile.TemporaryDirectory(prefix="fireside-test-") as folder:
        running = start_embedded(Path(folder) / "postgres")
        yield embedded_url(running)
        running.cleanup()


@pytest.fixture(scope="session")
def new_database(server: Database) -> Callable[[], Database]:
    """Makes empty, prepared databases."""

    def make() -> Database:
        database = server.sibling(f"test_{uuid4().hex[:12]}")
        database.prepare()
        return database

    return make


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's .env and environment must not reach a test, nor a test a real account."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    # Which PostgreSQL the tests run on is asked from outside: make test PG=16.
    for name in Settings.model_fields.keys() - {"embedded_postgres_bin_dir"}:
        monkeypatch.delenv(name.upper(), raising=False)


def settings_for(sandbox: Sandbox, database: Database, work_dir: Path, **more: object) -> Settings:
    """Settings of a client of this stand-in, in a hurry."""
    given = {name.lower(): value for name, value in sandbox.environment.items()}
    given |= {
        "database_url": database.url,
        "work_dir": work_dir,
        "tracksolid_calls_per_second": 1000,
        "tracksolid_backoff_seconds": 0.01,
    }
    return Settings.model_validate(given | more)


@pytest.fixture(scope="session")
def world() -> Fleet:
    """A small fleet, all states of a device in it, whose clock stands still."""
    return fleet(seed=7, days=3, devices=40, now=NOW)


@pytest.fixture
def sandbox(world: Fleet) -> Iterator[Sandbox]:
    with Sandbox(world, login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def loader(sandbox: Sandbox, database: Database, work_dir: Path) -> Loader:
    return Loader(settings_for(sandbox, database, work_dir), database)


@pytest.fixture(scope="module")
def whole_sandbox() -> Iterator[Sandbox]:
    with Sandbox(whole_fleet(), login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def client(whole_sandbox: Sandbox) -> Iterator[SandboxClient]:
    """Logged in to a stand-in that plays all 80 vehicles, and none of the last test's faults."""
    whole_sandbox.clear()
    client = SandboxClient(whole_sandbox)
    client.log_in()
    yield client
    whole_sandbox.clear()
    whole_sandbox.sent = None


PRICES = {"Nairobi": 180, "Mombasa": 186, "Kampala": 5200}
# What an analyst would fill in: the seeds of a client who has agreed on everything.
ASSIGN = """
    insert into tracksolid.vehicles (imei, assigned_city, cost_centre) values (%s, %s, %s)
"""
PRICE = """
    update tracksolid.operating_rules set value = %s where rule = 'fuel_price' and city = %s
"""


@pytest.fixture(scope="session")
def fleet_world() -> Fleet:
    return fleet(seed=11, days=6, devices=82, now=NOW)


@pytest.fixture(scope="session")
def gold(
    fleet_world: Fleet, new_database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[psycopg.Connection]:
    """A fleet polled and pushed, with assigned cities, cost centres and prices; to be read only."""
    from fleets import build, load

    database, work_dir = new_database(), tmp_path_factory.mktemp("work")
    load(fleet_world, database, work_dir, pushed=True)
    dbt_runner.run(Settings(work_dir=work_dir), database, ["seed"], lambda *_: None)
    with database.connect() as connection:
        for number, device in enumerate(fleet_world.devices.values()):
            city = device.account.rpartition("_")[2].title()
            given = [device.imei, "Nairobi" if city == "Fleet" else city, f"Team {number % 3}"]
            connection.execute(ASSIGN.encode(), given)
        for city, price in PRICES.items():
            connection.execute(PRICE.encode(), [price, city])
    build(database, work_dir, "--exclude-resource-type", "seed", unit_tests=True)
    with database.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def empty(
    new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[psycopg.Connection]:
    """Gold as it is before the first poll."""
    database, work_dir = new_database(), tmp_path_factory.mktemp("work")
    Landing(database, work_dir).prepare()
    for command in (["seed"], ["run"]):
        dbt_runner.run(Settings(work_dir=work_dir), database, command, lambda *_: None)
    with database.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def manifest_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbt makes of the project. Parsing reads the profile but never connects."""
    target = tmp_path_factory.mktemp("dbt_target")
    subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "parse",
            *("--project-dir", dbt_runner.PROJECT, "--profiles-dir", dbt_runner.PROJECT),
            *("--target-path", target, "--log-path", target),
        ],
        check=True,
        env={"PGHOST": "", "PGPORT": "5432", "PGUSER": "", "PGPASSWORD": "", "PGDATABASE": "fleet"},
    )
    return target / "manifest.json"


@pytest.fixture(scope="session")
def manifest(manifest_file: Path) -> dict[str, Any]:
    return json.loads(manifest_file.read_text())
