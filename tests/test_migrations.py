"""Migrations: each file is applied once, in order, by one process, and may not change later."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from loader.landing import Landing
from operations.cli import command
from settings import ROOT
from warehouse.database import DBT_ROLE, LOADER_ROLE, Database
from warehouse.embedded import embedded_url, start_embedded
from warehouse.migrate import MIGRATIONS, MigrationError, migrate

NAMES = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))


@pytest.fixture
def unprepared(server: Database) -> Database:
    return server.sibling(f"test_{uuid4().hex[:12]}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


def apply(database: Database, folder: Path) -> list[str]:
    with database.connect() as connection:
        return migrate(database.url, connection, folder)


def tables(database: Database, like: str) -> int:
    with database.connect() as connection:
        row = connection.execute("select count(*) from pg_class where relname like %s", [like])
        return row.fetchone()[0]


def test_migrations_are_applied_once_in_order(unprepared: Database) -> None:
    assert unprepared.prepare() == NAMES
    assert unprepared.prepare() == []
    with unprepared.connect() as connection:
        rows = connection.execute(
            "select migration_id, length(migration_hash) from tracksolid.schema_migrations"
            " order by applied_at_utc"
        ).fetchall()
    assert rows == [(name, 64) for name in NAMES]


def test_concurrent_processes_apply_each_migration_once(
    unprepared: Database, server: Database
) -> None:
    """Also on two databases of one server, which share its roles."""
    other = server.sibling(f"test_{uuid4().hex[:12]}")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(Database.prepare, [unprepared, other] * 4))
    assert sorted(name for names in done for name in names) == sorted(NAMES * 2)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Database]:
    """A server whose roles no other test sees."""
    with tempfile.TemporaryDirectory(prefix="fireside-test-") as folder:
        running = start_embedded(Path(folder) / "postgres")
        yield embedded_url(running)
        running.cleanup()


def test_concurrent_databases_create_roles_once(own_server: Database) -> None:
    """The second waits for the first. The login is not a superuser but may create roles."""
    with own_server.connect() as connection:
        connection.execute("create role maker login createrole createdb")
    maker = Database(own_server.url.replace("//postgres:", "//maker:"))
    databases = [maker.sibling(f"d{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(Database.prepare, databases))
    assert done == [NAMES] * 4
    for database in databases:
        for role in (LOADER_ROLE, DBT_ROLE):
            with database.acting_as(role).connect() as connection:
                assert connection.execute("select current_role").fetchone() == (role,)


def test_grafana_has_a_limited_number_of_connections(own_server: Database) -> None:
    own_server.sibling("limited").prepare()
    with own_server.connect() as connection, ExitStack() as opened:
        (limit,) = connection.execute(
            "select rolconnlimit from pg_roles where rolname = 'grafana_ro'"
        ).fetchone()
        assert limit > 0
        for _ in range(limit):
            opened.enter_context(psycopg.connect(own_server.url, user="grafana_ro"))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(own_server.url, user="grafana_ro")


def test_changed_migration_is_refused(unprepared: Database, folder: Path) -> None:
    apply(unprepared, folder)
    changed = folder / f"{NAMES[0]}.sql"
    changed.write_text(changed.read_text() + "\n-- a thought that came later\n")
    (folder / "9999_next.sql").write_text("create table tracksolid.next_thing ()")
    with pytest.raises(MigrationError, match=rf"{NAMES[0]}\.sql has changed .* next number"):
        apply(unprepared, folder)
    assert tables(unprepared, "next_thing") == 0


def test_new_migration_is_applied_to_a_database_in_use(unprepared: Database, folder: Path) -> None:
    apply(unprepared, folder)
    (folder / "9999_next.sql").write_text("create table if not exists tracksolid.next_thing ()")
    assert apply(unprepared, folder) == ["9999_next"]
    assert tables(unprepared, "next_thing") == 1
    # An older release on the same database ignores migrations that it does not know.
    assert apply(unprepared, MIGRATIONS) == []


def test_failed_migration_rolls_back_and_is_retried(unprepared: Database, folder: Path) -> None:
    file = folder / "9999_next.sql"
    file.write_text("create table tracksolid.next_thing (); select 1 / 0;")
    with pytest.raises(MigrationError, match=r"9999_next\.sql does not apply: division by zero"):
        apply(unprepared, folder)
    assert tables(unprepared, "next_thing") == 0
    file.write_text("create table tracksolid.next_thing ()")
    assert apply(unprepared, folder) == ["9999_next"]


def test_kill_during_migration_leaves_no_lock(unprepared: Database, folder: Path) -> None:
    """Each migration must allow being run again."""
    apply(unprepared, folder)
    with unprepared.connect() as connection:
        connection.execute("delete from tracksolid.schema_migrations")
    assert apply(unprepared, folder) == NAMES


def test_a_command_brings_the_named_embedded_database_up_to_date(
    unprepared: Database, server: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of an older demo; a database of somebody else is left alone."""
    monkeypatch.setattr(command, "open_database", lambda *_, **__: nullcontext(server))
    with command.chosen_database(unprepared.name) as database:
        assert not database.is_prepared()
    (folder / "0017_one_count_of_stops.sql").unlink()
    apply(unprepared, folder)
    with command.chosen_database(unprepared.name) as database:
        assert database.pending() == []


def test_database_of_the_old_system_is_not_touched(unprepared: Database, folder: Path) -> None:
    with unprepared.connect() as connection:
        connection.execute("create schema tracksolid")
        connection.execute("create table tracksolid.schema_migrations (filename text)")
    with pytest.raises(MigrationError, match="holds another system's"):
        apply(unprepared, folder)
    assert tables(unprepared, "api_token_cache") == 0


def test_spool_status_has_one_row(new_database: Callable[[], Database]) -> None:
    state = (
        "insert into dwh_gold.spool_status (measured_at, pushes_waiting, bytes)"
        " values (now(), 1, 1)"
    )
    with new_database().connect() as connection:
        connection.execute(state)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(state)


LOADS = """
    select attname, format_type(atttypid, atttypmod), attnotnull, pg_get_userbyid(relowner)
    from pg_attribute
    inner join pg_class on attrelid = pg_class.oid
    where attrelid = 'raw._dlt_loads'::regclass and attnum > 0
    order by attnum
"""


def test_the_migration_makes_the_table_of_loads_as_dlt_does(
    unprepared: Database, new_database: Callable[[], Database], folder: Path, tmp_path: Path
) -> None:
    """An older database has dlt's own table, a new one the migration's: both are the same."""
    (folder / "0009_complete_loads.sql").unlink()
    apply(unprepared, folder)
    ours = new_database()
    found = []
    for database in (unprepared, ours):
        Landing(database, tmp_path).prepare()
        with database.connect() as connection:
            found.append(connection.execute(LOADS).fetchall())
    assert found[0] == found[1]
    assert ("load_id", "text", True, LOADER_ROLE) in found[0]
    assert apply(unprepared, MIGRATIONS) == ["0009_complete_loads"]
    for database in (unprepared, ours):
        with database.connect() as connection:
            connection.execute(
                "insert into raw._dlt_loads (load_id, status, inserted_at)"
                " values ('complete', 0, now()), ('torn', 1, now())"
            )
            connection.execute(f"set role {DBT_ROLE}")
            assert connection.execute("select load_id from raw.complete_loads").fetchall() == [
                ("complete",)
            ]


def test_the_migration_finishes_a_table_of_loads_that_a_killed_loader_left(
    unprepared: Database, folder: Path, tmp_path: Path
) -> None:
    """dlt makes varchar; the loader was killed before it changed that to text."""
    (folder / "0009_complete_loads.sql").unlink()
    apply(unprepared, folder)
    with unprepared.connect() as connection:
        connection.execute(
            "create table raw._dlt_loads (load_id varchar not null, schema_name varchar,"
            " status bigint not null, inserted_at timestamptz not null,"
            " schema_version_hash varchar)"
        )
        connection.execute(f"alter table raw._dlt_loads owner to {LOADER_ROLE}")
    assert apply(unprepared, MIGRATIONS) == ["0009_complete_loads"]
    Landing(unprepared, tmp_path).prepare()
    with unprepared.connect() as connection:
        assert {row[1] for row in connection.execute(LOADS)} == {
            *("text", "bigint", "timestamp with time zone")
        }


def test_the_migration_renames_columns_that_an_older_build_made(
    unprepared: Database, folder: Path
) -> None:
    """Rows stay, and a view follows the table that it reads."""
    (folder / "0011_plain_names.sql").unlink()
    apply(unprepared, folder)
    with unprepared.connect() as connection:
        connection.execute("create table tracksolid.alarm_reports as select 'push' as told_by")
        connection.execute(
            "create view dwh_gold.jobs_open as select told_by as standing"
            " from tracksolid.alarm_reports"
        )
    assert apply(unprepared, MIGRATIONS) == ["0011_plain_names"]
    with unprepared.connect() as connection:
        assert connection.execute(
            "select reported_by, status from tracksolid.alarm_reports, dwh_gold.jobs_open"
        ).fetchall() == [("push", "push")]


def test_the_migration_keeps_trips_and_stops_as_first_reports(
    unprepared: Database, folder: Path
) -> None:
    """Also those whose raw rows are in archived files; the next build computes what counts."""
    (folder / "0012_trip_and_parking_reports.sql").unlink()
    apply(unprepared, folder)
    with unprepared.connect() as connection:
        connection.execute(
            "create table tracksolid.trips (imei text, start_time timestamptz,"
            " end_time timestamptz, source text not null, distance_km numeric(9, 3),"
            " driving_time_s integer, start_odometer_km numeric, end_odometer_km numeric,"
            " primary key (imei, start_time))"
        )
        connection.execute(
            "insert into tracksolid.trips values"
            " ('1', '2026-03-02 06:00Z', '2026-03-02 06:40Z', 'poll', null, null, 100, 112),"
            " ('2', '2026-03-02 06:00Z', null, 'poll', 5, 600, 0, 9999),"
            " ('3', '2026-03-02 06:00Z', '2026-03-02 05:00Z', 'legacy', null, null, 0, 9999)"
        )
        connection.execute("insert into tracksolid.claims values ('trips', 0, 7, null)")
    assert apply(unprepared, MIGRATIONS) == ["0012_trip_and_parking_reports"]
    with unprepared.connect() as connection:
        assert connection.execute(
            "select distance_km, driving_time_s, until_time - start_time"
            " from tracksolid.trip_reports order by imei"
        ).fetchall() == [
            (12, 2400, timedelta(minutes=40)),
            (5, 600, timedelta(minutes=10)),
            (None, None, timedelta(seconds=1)),
        ]
        claims = connection.execute("select model, build_id from tracksolid.claims").fetchall()
        assert claims == [("trip_reports", 7)]


def test_only_the_migration_knows_when_a_load_counts() -> None:
    """Everything else reads raw.complete_loads."""
    known = re.compile(r"\bstatus\s*=\s*0\b")
    files = [
        path
        for suffix in ("py", "sql", "yml", "md", "sh", "json")
        for path in ROOT.rglob(f"*.{suffix}")
        if not path.relative_to(ROOT).parts[0].startswith(".")
    ]
    assert [str(path.relative_to(ROOT)) for path in files if known.search(path.read_text())] == [
        str((MIGRATIONS / "0009_complete_loads.sql").relative_to(ROOT))
    ]
