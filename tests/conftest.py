"""What tests share: one PostgreSQL for all workers, a database for each test, a stand-in API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import shared as shared_folder
from shared import Shared

from settings import Settings

if TYPE_CHECKING:  # a file that needs none of these starts without their imports
    import psycopg
    from databases import Built, Databases
    from sandbox_client import SandboxClient

    from loader.poll import Loader
    from sandbox import Fleet, Sandbox
    from warehouse.database import Database

NOW = int(datetime(2026, 11, 18, 9, 30, tzinfo=UTC).timestamp())  # a Wednesday, 12:30 in Nairobi
# The first two make the fleets that others copy, each on a worker of its own.
FIRST = (
    *("test_pipeline", "test_kpi_tools", "test_models", "test_gold_build", "test_chaos"),
    *("test_kpi_preview", "test_order", "test_schedule", "test_kill", "test_cli", "test_legacy"),
    *("test_whole_webhook", "test_jobs", "test_stretches", "test_work", "test_docs"),
    "test_dashboard_queries",
)
# On a busy machine an example takes long; that is no failure.
hypothesis.settings.register_profile(
    "no clock", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("no clock")
# These are for tests of data that must survive, which start a server of their own.
DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")


def pytest_configure(config: pytest.Config) -> None:
    shared_folder.open_folder(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin first, so that both workers end at about the same time."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist the folder of this run."""
    node.workerinput["shared_folder"] = str(node.config.stash[shared_folder.FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    shared_folder.close_folder(config)


@pytest.fixture(scope="session")
def shared(pytestconfig: pytest.Config) -> Shared:
    return Shared(pytestconfig.stash[shared_folder.FOLDER])


@pytest.fixture(scope="session")
def server(shared: Shared) -> Iterator[Database]:
    """The one server of this run, fast and forgetful: the first worker starts it."""
    import warm_dbt

    from warehouse.embedded import embedded_url, start_embedded

    running = start_embedded(shared.folder / "postgres")
    database = embedded_url(running)
    with database.connect() as connection:
        for name in (*DURABILITY, "autovacuum"):
            connection.execute(f"alter system set {name} = off".encode())
        connection.execute("select pg_reload_conf()")
    with warm_dbt.installed(shared):
        yield database
    running.cleanup()


@pytest.fixture(scope="session")
def databases(server: Database, shared: Shared) -> Databases:
    from databases import Databases

    return Databases(server, shared)


@pytest.fixture(scope="session")
def new_database(databases: Databases) -> Callable[[], Database]:
    """Makes empty, migrated databases."""
    return databases.migrated


@pytest.fixture
def database(databases: Databases) -> Database:
    """Migrated, with all raw tables, without a row."""
    return databases.with_raw()


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
    """A small fleet with a fixed clock; its devices are in all states."""
    from sandbox import fleet

    return fleet(seed=7, days=3, devices=40, now=NOW)


@pytest.fixture
def sandbox(world: Fleet) -> Iterator[Sandbox]:
    from sandbox import Sandbox

    with Sandbox(world, login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def loader(sandbox: Sandbox, database: Database, work_dir: Path) -> Loader:
    from loader.poll import Loader

    return Loader(settings_for(sandbox, database, work_dir), database)


@pytest.fixture(scope="module")
def whole_sandbox() -> Iterator[Sandbox]:
    from sandbox_client import whole_fleet

    from sandbox import Sandbox

    with Sandbox(whole_fleet(), login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def client(whole_sandbox: Sandbox) -> Iterator[SandboxClient]:
    """Logged in to a stand-in that plays all 80 vehicles, and none of the last test's faults."""
    from sandbox_client import SandboxClient

    whole_sandbox.clear()
    client = SandboxClient(whole_sandbox)
    client.log_in()
    yield client
    whole_sandbox.clear()
    whole_sandbox.sent = None


@pytest.fixture(scope="session")
def fleet_world() -> Fleet:
    from fleets import priced_world

    return priced_world()


@pytest.fixture(scope="session")
def gold(databases: Databases) -> Iterator[psycopg.Connection]:
    """A fleet polled and pushed, with assigned cities, cost centres and prices; to be read only.

    This worker's own copy: what a test changes in a transaction holds up no other worker.
    """
    import fleets

    with fleets.priced(databases).connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def built(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Database]:
    """This file's own copy of a polled fleet. Its last four hours have landed since the build."""
    import fleets

    made = fleets.polled(databases, tmp_path_factory.mktemp("work"))
    return made.settings, made.database


@pytest.fixture
def built_empty(databases: Databases, work_dir: Path) -> Built:
    """All models and seeds, of raw tables without a row."""
    return databases.built_empty(work_dir)


@pytest.fixture(scope="session")
def empty(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[psycopg.Connection]:
    """Gold as it is before the first poll; to be read only."""
    built = databases.built_empty(tmp_path_factory.mktemp("work"))
    with built.database.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def manifest_file(shared: Shared) -> Path:
    """What dbt makes of the project."""
    import warm_dbt

    return warm_dbt.parsed(shared) / "manifest.json"


@pytest.fixture(scope="session")
def manifest(manifest_file: Path) -> dict[str, Any]:
    return json.loads(manifest_file.read_text())
