"""Only `migrate`, `run` and the embedded server change a database's structure."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import command_line
import pytest
import typer.main
from databases import Databases

import orchestrate
from loader.landing import Landing
from warehouse.database import Database
from warehouse.migrate import MIGRATIONS, migrate

# Other tests change other databases, and roles of their own, on the same server.
STRUCTURE = """
    with here as (select * from pg_database where datname = current_database())
    select 'schema', nspname::text, nspowner::regrole::text, nspacl::text from pg_namespace
    union all
    select 'relation', oid::regclass::text, relowner::regrole::text, relacl::text from pg_class
    where relnamespace not in (select oid from pg_namespace where nspname ~ '^pg_(toast|temp)')
    union all
    select 'column', attrelid::regclass::text, attname::text, atttypid::regtype::text
    from pg_attribute where attrelid > 16384 and attnum > 0
    union all
    select 'routine', oid::regprocedure::text, proowner::regrole::text, null from pg_proc
    union all
    select 'role', refobjid::regrole::text, classid::regclass::text, objid::text
    from pg_shdepend where dbid = (select oid from here) and refclassid = 'pg_authid'::regclass
    union all
    select 'database', datname::text, datdba::regrole::text, datacl::text from here
    union all
    select 'setting', setrole::regrole::text, setconfig::text, null
    from pg_db_role_setting where setdatabase = (select oid from here)
    order by 1, 2, 3, 4
"""
CHANGING = {"migrate", "run"}
READING = {"doctor", "psql", "exec", "status", "docs", "report", "compare-legacy"}
READING |= {"kpi list", "kpi show", "kpi explain"}
# What each command needs beside its name.
ARGUMENTS = {
    "backfill": ["--from", "2026-11-01"],
    "baseline": [],
    "compare-legacy": ["--from", "{old}"],
    "dbt": ["run"],
    "exec": ["true"],
    "import-jobs": ["{file}"],
    "import-legacy": ["--from", "{old}"],
    "import-services": ["{file}"],
    "kpi explain": ["fleet.utilisation", "--vehicle", "1", "--day", "2026-11-17"],
    "kpi show": ["fleet.utilisation"],
    "locate": ["860000000000017"],
    "psql": ["-c", "select 1"],
    "report": ["--month", "2026-10", "--to", "{file}.html"],
    "docs": ["--folder", "{file}.docs"],
}


def commands() -> list[str]:
    program = typer.main.get_command(orchestrate.app)
    names = []
    for name, command in program.commands.items():
        inner = getattr(command, "commands", None)
        names += [f"{name} {each}" for each in inner] if inner else [name]
    return sorted(names)


def structure(database: Database) -> list[tuple]:
    with database.connect() as connection:
        return connection.execute(STRUCTURE.encode()).fetchall()


@pytest.fixture(
    params=[
        pytest.param("unmigrated", marks=pytest.mark.long),
        "one behind",
        pytest.param("without raw's tables", marks=pytest.mark.long),
    ]
)
def behind(request: pytest.FixtureRequest, server: Database, tmp_path: Path) -> Database:
    database = server.sibling(f"test_{uuid4().hex[:12]}")  # a length that warm_dbt.py knows
    files = sorted(MIGRATIONS.glob("*.sql"))
    some = {"unmigrated": [], "one behind": files[:-1]}.get(request.param, files)
    folder = tmp_path / "some"
    folder.mkdir()
    for file in some:
        (folder / file.name).write_text(file.read_text())
    if some:
        with database.connect() as connection:
            migrate(database.url, connection, folder)
    if request.param == "one behind":
        Landing(database, tmp_path / "first").prepare()
    return database


@pytest.fixture
def old(server: Database) -> Database:
    """A database of the system before this one."""
    database = server.sibling("old_beside")
    with database.connect() as connection:
        connection.execute("create schema if not exists tracksolid")
        connection.execute(
            "create table if not exists tracksolid.trips (imei text, start_time timestamptz)"
        )
    return database


@pytest.fixture
def run(
    behind: Database, old: Database, databases: Databases, tmp_path: Path
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    file = tmp_path / "jobs and services.csv"
    file.write_text("job_id,plate,date,odometer\n1,A,2026-03-02,5000\n")
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": databases.parsed(tmp_path / "work", behind),
        "WORK_DIR": str(tmp_path / "work"),
        "SPOOL_PATH": str(tmp_path / "spool.sqlite"),
        "TRACKSOLID_API_URL": "http://127.0.0.1:1/",
        "TRACKSOLID_BACKOFF_SECONDS": "0.01",
        **dict.fromkeys(("TRACKSOLID_APP_KEY", "TRACKSOLID_ACCOUNT"), "x"),
        **dict.fromkeys(("TRACKSOLID_APP_SECRET", "TRACKSOLID_PASSWORD_MD5"), "x"),
        "COLUMNS": "300",
    }

    def command(name: str) -> subprocess.CompletedProcess[str]:
        more = [each.format(old=old.url, file=file) for each in ARGUMENTS.get(name, [])]
        return command_line.run(*name.split(), *more, env=environment)

    return command


def test_no_other_command_changes_the_structure(
    behind: Database, run: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    before = structure(behind)
    names = [name for name in commands() if name not in CHANGING]
    with ThreadPoolExecutor(3) as pool:
        done = dict(zip(names, pool.map(run, names), strict=True))
    assert structure(behind) == before
    for name, ended in done.items():
        said = ended.stdout + ended.stderr
        assert "Traceback" not in said, (name, said)
        assert "run orchestrate.py migrate" in said, (name, said)
        if name not in READING:
            assert ended.returncode == 1, (name, said)
    assert done["psql"].returncode == done["exec"].returncode == done["status"].returncode == 0


def test_migrate_makes_all_that_other_commands_need(
    behind: Database, run: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    migrated = run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    before = structure(behind)
    for name in ("status", "drain", "replay-rejected", "import-jobs", "restore-archive"):
        done = run(name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "pending" not in done.stdout + done.stderr
    assert structure(behind) == before
