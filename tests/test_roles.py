"""Three database roles: the loader writes raw, dbt builds from it, Grafana reads gold only."""

import hashlib
import hmac
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from conftest import settings_for
from psycopg import sql
from structlog.testing import capture_logs

from loader.poll import Loader
from operations.maintenance.archive import archive, restore
from sandbox import Fleet, Sandbox
from warehouse import dbt_runner
from warehouse.database import DBT_ROLE, LOADER_ROLE, Database
from warehouse.migrate import MIGRATIONS, migrate, set_grafana_password

OWNERS = """
    select namespace.nspname, class.relname, pg_get_userbyid(class.relowner)
    from pg_class as class
    inner join pg_namespace as namespace on class.relnamespace = namespace.oid
    where namespace.nspname in ('raw', 'tracksolid', 'dwh_gold') and class.relkind in ('r', 'v')
"""
MIGRATED = {
    *("api_token_cache", "job_runs", "dbt_run_history", "spool_status"),
    *("load_times", "remade_tables", "archived_files"),
    *("builds", "offered_loads", "claims", "changed_days", "changed_spans", "first_times"),
    "carried_vehicles",
}
NOBODY_MAY = [
    "create table public.mine ()",
    "create role mine",
    "create function public.mine() returns void language c as 'dblink', 'dblink_connect'",
    "alter system set jit = on",
    "copy (select 1) to program 'cat'",
    "copy (select 1) to '/tmp/mine'",
    "select pg_read_file('PG_VERSION')",
    "select pg_ls_dir('.')",
    "select lo_import('/etc/passwd')",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'mine')",
    "set session authorization postgres",
    "set role postgres",
    "select * from tracksolid.schema_migrations",
]
LOADER_MAY_NOT = [
    "create schema mine",
    "create temporary table mine ()",
    "create table tracksolid.mine ()",
    "create table dwh_gold.mine ()",
    "select * from tracksolid.devices",
    "select * from dwh_gold.dim_vehicles",
    "delete from tracksolid.api_token_cache",
    "set role fireside_dbt",
]
DBT_MAY_NOT = [
    "create table raw.mine ()",
    "insert into raw.device_list (body) values ('{}')",
    "update raw.device_list set body = '{}'",
    "delete from raw.device_list",
    "truncate raw.device_list",
    "drop table raw.device_list",
    "select * from tracksolid.api_token_cache",
    "set role fireside_loader",
]
GRAFANA_MAY_NOT = [
    "create schema mine",
    "create temporary table mine ()",
    "create function pg_temp.mine() returns integer language sql as 'select 1'",
    "create table dwh_gold.mine ()",
    "create view dwh_gold.mine as select 1",
    "insert into dwh_gold.job_runs (job, status) values ('mine', 'ok')",
    "update dwh_gold.dim_vehicles set city = 'Mine'",
    "delete from dwh_gold.dim_vehicles",
    "truncate dwh_gold.dim_vehicles",
    "drop view dwh_gold.vehicle_status_now",
    "alter table dwh_gold.dim_vehicles add mine text",
    "do $$ begin lock table dwh_gold.dim_vehicles in access exclusive mode; end $$",
    "copy dwh_gold.dim_vehicles from stdin",
    "select * from raw.device_list",
    "select * from tracksolid.devices",
    "select * from tracksolid.api_token_cache",
    "set role fireside_dbt",
    "set role fireside_loader",
    "alter role grafana_ro connection limit -1",
]


@pytest.fixture(scope="module")
def built(
    world: Fleet,
    new_database: Callable[[], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Database:
    """A database with the live view and its sources, created by the product's own processes."""
    database, work_dir = new_database(), tmp_path_factory.mktemp("work")
    with Sandbox(world, login_interval_seconds=0) as sandbox:
        settings = settings_for(sandbox, database, work_dir, archive_dir=work_dir / "archive")
        loader = Loader(settings, database)
        summaries = loader.poll(["child_list", "device_list", "location_list"])
    assert not [error for summary in summaries for error in summary.errors]
    models = ["--resource-type", "seed", "--resource-type", "model"]
    with dbt_runner.in_one_process(settings, database):
        for arguments in (
            ["build", *models, "--select", "+vehicle_status_now"],
            ["run", "--full-refresh", "--select", "dim_vehicles", "vehicle_status_now"],
        ):
            dbt_runner.run(settings, database, arguments, lambda *_: None)
    return database


@pytest.fixture(scope="module")
def grafana(built: Database) -> Iterator[psycopg.Connection]:
    """A session of grafana_ro that has switched off all limits it may switch off itself."""
    with psycopg.connect(built.url, user="grafana_ro", autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        yield connection


@pytest.mark.parametrize("statement", NOBODY_MAY + GRAFANA_MAY_NOT)
def test_grafana_role_is_refused(grafana: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        grafana.execute(statement.encode())


@pytest.mark.parametrize(
    ("role", "statement"),
    [(LOADER_ROLE, each) for each in NOBODY_MAY + LOADER_MAY_NOT]
    + [(DBT_ROLE, each) for each in NOBODY_MAY + DBT_MAY_NOT],
)
def test_process_roles_are_refused(built: Database, role: str, statement: str) -> None:
    """A role cannot use another role's objects. (A session may always reset to its login role.)"""
    name = f"only_{role}"
    with built.connect() as connection:
        if connection.execute("select from pg_roles where rolname = %s", [name]).fetchone() is None:
            make = "create role {} login in role {}"
            connection.execute(
                sql.SQL(make).format(sql.Identifier(name), sql.Identifier(role)),
            )
    with psycopg.connect(built.url, user=name, autocommit=True) as connection:
        connection.execute(f"set role {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_each_role_owns_the_objects_it_creates(built: Database) -> None:
    with built.connect() as connection:
        owners = connection.execute(OWNERS.encode()).fetchall()
    wanted = {"raw": LOADER_ROLE, "tracksolid": DBT_ROLE, "dwh_gold": DBT_ROLE}
    assert {schema for schema, *_ in owners} == set(wanted)
    for schema, table, owner in owners:
        if table not in MIGRATED and not table.startswith("schema_migrations"):
            assert owner == wanted[schema], table


def test_grafana_reads_all_of_gold_after_a_full_refresh(
    built: Database, grafana: psycopg.Connection
) -> None:
    names = grafana.execute(
        "select relname from pg_class"
        " where relnamespace = 'dwh_gold'::regnamespace and relkind in ('r', 'v')"
    ).fetchall()
    assert {"vehicle_status_now", "dim_vehicles", "job_runs"} <= {name for (name,) in names}
    for (name,) in names:
        # A view reads raw with the rights of its owner.
        grafana.execute(f"select * from dwh_gold.{name}".encode())
    seen = grafana.execute("select count(*) from vehicle_status_now").fetchone()
    assert seen is not None
    assert seen[0] > 0


def test_grafana_sessions_are_read_only_and_limited(built: Database) -> None:
    with psycopg.connect(built.url, user="grafana_ro", autocommit=True) as connection:
        for setting, value in {
            "default_transaction_read_only": "on",
            "statement_timeout": "30s",
            "idle_in_transaction_session_timeout": "30s",
            "search_path": "dwh_gold",
        }.items():
            assert connection.execute(f"show {setting}".encode()).fetchone() == (value,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create table mine ()")
        reachable = "select extname from pg_extension where extname in ('dblink', 'postgres_fdw')"
        assert connection.execute(reachable.encode()).fetchall() == []


def test_server_never_sees_grafanas_password_in_plain_text(database: Database) -> None:
    """The password is sent as a SCRAM verifier, so log and catalog hold only that."""
    password = "correct horse " + uuid4().hex
    with database.connect() as connection:
        connection.execute("set log_statement = 'all'")
        with connection.transaction():
            # Tests of other databases change the same role.
            connection.execute("lock table pg_authid in share row exclusive mode")
            set_grafana_password(connection, password)
            kept, log = connection.execute(
                "select rolpassword, pg_read_file('log') from pg_authid"
                " where rolname = 'grafana_ro'"
            ).fetchone()
    assert "alter role grafana_ro password" in log
    assert password not in log
    method, work, keys = kept.split("$")
    iterations, salt = work.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(iterations))
    client = hmac.digest(salted, b"Client Key", "sha256")
    assert method == "SCRAM-SHA-256"
    assert keys.split(":")[0] == b64encode(hashlib.sha256(client).digest()).decode()


def test_objects_of_a_used_database_change_owner(server: Database, tmp_path: Path) -> None:
    """After the migration, objects made by a single login belong to the roles."""
    database = server.sibling(f"test_{uuid4().hex[:12]}")
    shutil.copy(MIGRATIONS / "0001_schemas.sql", tmp_path)
    with database.connect() as connection:
        migrate(database.url, connection, tmp_path)
        connection.execute(
            """
            create table raw.old (body text);
            create table tracksolid.old (imei text);
            create table dwh_gold.old (imei text);
            create view dwh_gold.older as select * from tracksolid.old;
            create function dwh_gold.oldest() returns text return 'old';
            """
        )
        database.prepare()
        owners = {
            f"{schema}.{name}": owner
            for schema, name, owner in connection.execute(OWNERS.encode()).fetchall()
        }
        assert owners["raw.old"] == LOADER_ROLE
        assert {owners[f"{x}.old"] for x in ("tracksolid", "dwh_gold")} == {DBT_ROLE}
        assert owners["tracksolid.api_token_cache"] == "postgres"
    with database.acting_as(DBT_ROLE).connect() as connection:
        connection.execute("select * from raw.old")
        connection.execute("create or replace view dwh_gold.older as select * from tracksolid.old")
        connection.execute("drop function dwh_gold.oldest()")
    with psycopg.connect(database.url, user="grafana_ro") as connection:
        connection.execute("select * from dwh_gold.older")


@pytest.mark.parametrize("may_make_roles", [True, False])
def test_migrate_works_without_superuser(
    built: Database, server: Database, sandbox: Sandbox, work_dir: Path, may_make_roles: bool
) -> None:
    """With the roles it uses them. Without, it warns and does everything as one role."""
    login = f"test_{uuid4().hex[:12]}"  # its database is called so, too: see warm_dbt.py
    name = sql.Identifier(login)
    with server.connect() as connection:
        attributes = "login createrole" if may_make_roles else "login"
        connection.execute(sql.SQL("create role {} " + attributes).format(name))
        connection.execute(sql.SQL("create database {0} owner {0}").format(name))
        if may_make_roles:  # as for the login that created them
            grant = "grant fireside_loader, fireside_dbt, grafana_ro to {} with admin option"
            connection.execute(sql.SQL(grant).format(name))
    database = Database(
        f"{server.url.rpartition('/')[0]}/{login}".replace("postgres:", f"{login}:", 1)
    )
    with capture_logs() as logs:
        database.prepare()
    assert may_make_roles == (not [each for each in logs if "no separate roles" in each["reason"]])
    settings = settings_for(sandbox, database, work_dir, archive_dir=work_dir / "archive")
    for summary in Loader(settings, database).poll(["device_list", "location_list"]):
        assert summary.records > 0
        assert not summary.errors
    if not may_make_roles:  # with roles, the other tests run dbt
        dbt_runner.run(settings, database, ["seed", "--select", "zones"], lambda *_: None)
    with database.connect() as connection:
        owners = {owner for *_, owner in connection.execute(OWNERS.encode())}
        connection.execute("select * from raw.device_list")
        fixes = connection.execute("select count(*) from raw.location_list").fetchone()
        # Its nightly jobs archive and prune.
        connection.execute(
            "insert into tracksolid.offered_loads select distinct load_id, 1 from raw._dlt_loads"
        )
        connection.execute("insert into tracksolid.claims values ('trips', 0, 1)")
    assert (archive(settings, database, timedelta()),) == fixes
    assert (restore(settings, database),) == fixes
    # The bookkeeping tables and the token cache stay with the login.
    assert owners == ({login, LOADER_ROLE} if may_make_roles else {login})
