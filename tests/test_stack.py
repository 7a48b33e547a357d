"""The compose stack: its files are valid, and each command and health check really runs."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
import yaml
from waiting import TIMEOUT_S, eventually

from loader.poll import Loader
from sandbox import Sandbox
from settings import ROOT, Settings
from warehouse.database import Database
from warehouse.embedded import programs
from webhook.receiver_settings import ReceiverSettings

TEXT = (ROOT / "docker-compose.yaml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
OURS = [name for name, service in SERVICES.items() if service.get("image") == "fireside-fleet"]
ONE_SHOT = {"migrate"}
LONG_RUNNING = sorted(set(OURS) - ONE_SHOT)

RIGHTS = """
    select
        has_schema_privilege('grafana_ro', 'dwh_gold', 'usage'),
        has_database_privilege('fireside_dbt', current_database(), 'create, temporary'),
        has_database_privilege('grafana_ro', current_database(), 'temporary')
"""
LIMITS = """
    select setrole, setconfig
    from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
    order by setrole
"""


def checked(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.compose-spec", "docker-compose.yaml"),
        ("vendor.github-workflows", ".forgejo/workflows/ci.yaml"),
    ],
)
def test_compose_and_workflow_files_match_their_schemas(schema: str, file: str) -> None:
    tool = Path(sys.executable).with_name("check-jsonschema")
    checked(tool, "--builtin-schema", schema, ROOT / file)


def test_every_compose_variable_is_documented() -> None:
    connections = (ROOT / "docs/CONNECTIONS.md").read_text()
    example = (ROOT / ".env.example").read_text()
    of_stack = {found[1] for found in VARIABLE.finditer(TEXT)}
    of_code = {name.upper() for name in Settings.model_fields | ReceiverSettings.model_fields}
    assert of_stack
    assert {name for name in of_stack | of_code if f"`{name}`" not in connections} == set()
    assert {name for name in of_stack if f"{name}=" not in example} == set()


def test_compose_file_contains_no_secret() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|DATABASE_URL", variable):
                assert VARIABLE.search(value), f"{name}: {variable}"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_hardened_and_health_checked(name: str) -> None:
    service = SERVICES[name]
    if "build" not in service:
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d+\.\d+[\w.-]*", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") or name == "timescale_db"
    assert "container_name" not in service
    assert "privileged" not in service
    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert ("healthcheck" in service, "stop_grace_period" in service) == (
        name not in ONE_SHOT,
        name not in ONE_SHOT,
    )


def test_only_webhook_and_grafana_publish_ports() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {
        "webhook_receiver",
        "grafana",
    }
    assert STACK["networks"]["inside"] == {"internal": True}
    assert SERVICES["webhook_receiver"]["networks"] == ["outside"], "it must not reach the database"
    assert not {"env_file", "depends_on"} & SERVICES["webhook_receiver"].keys()


@pytest.mark.parametrize("file", ["Dockerfile", "grafana/Dockerfile"])
def test_images_are_pinned_and_run_without_root(file: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    base = next(line for line in lines if line.startswith("FROM "))
    assert re.search(r":[\w.-]*\d+\.\d+\.\d+", base)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users, "no USER line"
    assert users[-1] not in ("root", "0")
    for line in lines:
        if line.startswith("COPY ") and not line.startswith("COPY --from"):
            sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
            for source in sources:
                assert ((ROOT / file).parent / source).exists(), line


PRIVATE = (".env", ".env.production", "backups/fireside-1.dump", "fireside-1.roles.sql", "jobs.csv")
NEEDED = (
    "orchestrate.py",
    "dbt_fireside/seeds/vehicles.csv",
    "warehouse/migrations/0001_schemas.sql",
)


def test_private_files_stay_out_of_image_and_git() -> None:
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    def is_ignored(path: str) -> bool:
        # Docker matches a pattern from the root, and ignores all below what it matches.
        parts = path.split("/")
        below_root = ("/".join(parts[:n]) for n in range(1, len(parts) + 1))
        return any(
            pattern.count("/") == part.count("/") and fnmatch(part, pattern)
            for part in below_root
            for pattern in patterns
        )

    assert [path for path in PRIVATE if not is_ignored(path)] == []
    assert [path for path in NEEDED if is_ignored(path)] == []
    for path in PRIVATE:
        checked("git", "-C", ROOT, "check-ignore", "--no-index", path)


def test_workflow_runs_the_ci_script() -> None:
    workflow = yaml.safe_load((ROOT / ".forgejo/workflows/ci.yaml").read_text())
    assert {"run": ".ci/run"} in workflow["jobs"]["ci"]["steps"]


@contextmanager
def started(name: str, environment: dict[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a service's compose command with the environment that compose gives it."""
    service = SERVICES[name]
    given = {
        variable: VARIABLE.sub(lambda found: environment.get(found[1], found[3] or ""), value)
        for variable, value in service.get("environment", {}).items()
    }
    # Services with an env_file get all of it; others get their own variables, with test paths.
    more = environment if "env_file" in service else _places(environment)
    command = [part.replace("8000", str(port)) for part in service["command"]]
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | given | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


def _places(environment: dict[str, str]) -> dict[str, str]:
    return {
        name: environment[name]
        for name in ("WORK_DIR", "SPOOL_PATH", "WEBHOOK_PORT", "ORCHESTRATOR_PORT")
    }


@pytest.fixture
def environment(sandbox: Sandbox, database: Database, tmp_path: Path) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return dict(sandbox.environment) | {
        "DATABASE_URL": database.url,
        "WORK_DIR": str(tmp_path / "work"),
        "SPOOL_PATH": str(tmp_path / "spool.sqlite"),
        "WEBHOOK_PORT": port,
        "ORCHESTRATOR_PORT": port,
        "WEBHOOK_TOKEN": "a-token-of-thirty-two-characters",
        "POSTGRES_PASSWORD": "postgres",
        "GRAFANA_RO_PASSWORD": "a password",
    }


def said(process: subprocess.Popen[bytes]) -> str:
    """All output of a process, which ends here."""
    process.terminate()
    assert process.stdout
    return process.stdout.read().decode()


@contextmanager
def healthy(name: str, environment: dict[str, str]) -> Iterator[str]:
    """Start a service and wait until its health check passes; yields its address."""
    port = environment["WEBHOOK_PORT"]
    _, python, *arguments = SERVICES[name]["healthcheck"]["test"]
    assert python == "python"
    check = [sys.executable] + [
        re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", part) for part in arguments
    ]

    def passes() -> bool:
        return subprocess.run(check, check=False, capture_output=True).returncode == 0

    with started(name, environment, int(port)) as process:
        eventually(
            lambda: process.poll() is not None or passes(),
            f"{name} to be healthy",
            context=lambda: said(process),
        )
        assert process.poll() is None, said(process)
        yield f"http://127.0.0.1:{port}"
    assert not passes(), "the health check passes although the service is stopped"


@pytest.mark.parametrize("name", sorted({*LONG_RUNNING} - {"docs"}))
def test_service_starts_and_its_health_check_passes(name: str, environment: dict[str, str]) -> None:
    with healthy(name, environment):
        pass


def test_docs_server_shows_the_runbook_with_anchors(environment: dict[str, str]) -> None:
    with healthy("docs", environment) as address:
        for prefix in ("", "/docs"):
            shown = requests.get(f"{address}{prefix}/RUNBOOK.md", timeout=TIMEOUT_S)
            assert shown.status_code == 200
            assert '<h2 id="spool-growing">' in shown.text
            framework = requests.get(f"{address}{prefix}/KPI_FRAMEWORK.md", timeout=TIMEOUT_S).text
            assert "fleet.utilisation" in framework or "Utilisation" in framework
            assert 'href="../' not in framework  # files outside docs/ are not served
            for page in (ROOT / "docs").glob("*.md"):
                text = requests.get(f"{address}{prefix}/{page.name}", timeout=TIMEOUT_S).text
                assert "```" not in text, f"{page.name}: a code block that is not at the margin"
                for picture in re.findall(r'<img[^>]* src="([^"]+)"', text):
                    shown = requests.get(f"{address}{prefix}/{picture}", timeout=TIMEOUT_S)
                    assert shown.headers["content-type"].startswith("image/"), picture
            missing = requests.get(f"{address}{prefix}/NOSUCH.md", timeout=TIMEOUT_S)
            assert missing.status_code == 404
            outside = requests.get(f"{address}{prefix}/%2e%2e/settings.py", timeout=TIMEOUT_S)
            assert outside.status_code == 404


def test_migrate_succeeds_and_grafana_can_log_in(
    environment: dict[str, str], database: Database
) -> None:
    with started("migrate", environment, 0) as process:
        assert process.stdout
        said = process.stdout.read().decode()
    assert process.returncode == 0, said
    user = psycopg.conninfo.make_conninfo(database.url, user="grafana_ro", password="a password")
    with psycopg.connect(user) as connection:
        assert connection.execute("select current_user").fetchone() == ("grafana_ro",)


def test_database_health_check_passes(server: Database) -> None:
    _, command, *options = SERVICES["timescale_db"]["healthcheck"]["test"]
    checked(programs() / command, *options, **server.environment())


def test_backup_can_be_restored(
    loader: Loader, database: Database, server: Database, tmp_path: Path
) -> None:
    """Restore brings back rows and rights; old dumps are deleted; a failed dump leaves no file."""
    _, script, mode = SERVICES["backup"]["command"]
    assert (Path(script).name, mode) == ("backup.sh", "daily")
    loader.poll(["device_list", "location_list"])
    copied = server.sibling("restored_copy")
    folder = tmp_path / "backups"
    folder.mkdir()
    backup = ["sh", str(ROOT / "operations/maintenance/backup.sh")]
    environment = database.environment() | {
        "BACKUP_DIR": str(folder),
        "ARCHIVE_DIR": str(tmp_path / "archive"),  # nothing was archived yet: it does not exist
        "PATH": f"{programs()}:{os.environ['PATH']}",
    }
    old = folder / "fireside-20200101T000000Z.dump"
    old.touch()
    os.utime(old, (0, 0))
    with pytest.raises(AssertionError):
        checked(*backup, "check", **environment)
    with pytest.raises(AssertionError):
        checked(*backup, "once", **environment | {"PGDATABASE": "nosuch"})
    assert list(folder.iterdir()) == [old]

    checked(*backup, "once", **environment)
    checked(*backup, "check", **environment)
    (dump,) = folder.glob("*.dump")
    checked(*backup, "restore", dump, **environment | {"PGDATABASE": "restored_copy"})
    assert copied.prepare() == ["0001_schemas", "0002_roles"], (
        "a dump lacks these, so migrate sets them"
    )
    counts = "select (select count(*) from raw.location_list), (select count(*) from raw.api_calls)"
    with database.connect() as before, copied.connect() as after:
        for query in (counts, RIGHTS, LIMITS):
            assert after.execute(query).fetchall() == before.execute(query).fetchall()
    assert copied.prepare() == []


def test_the_backup_holds_the_archive_of_raw(database: Database, tmp_path: Path) -> None:
    """Archived rows are in no dump. A copy of each file is kept, also after the file is gone."""
    backup = ["sh", str(ROOT / "operations/maintenance/backup.sh")]
    archive, copies = tmp_path / "data/archive", tmp_path / "backups/archive"
    (tmp_path / "backups").mkdir()
    environment = database.environment() | {
        "BACKUP_DIR": str(tmp_path / "backups"),
        "ARCHIVE_DIR": str(archive),
        "PATH": f"{programs()}:{os.environ['PATH']}",
    }
    table = archive / "tracksolid_db/alarm_list"
    table.mkdir(parents=True)
    (table / "1-2.parquet").write_bytes(b"two loads")
    (table / "3-3.part").write_bytes(b"unfinished")

    checked(*backup, "once", **environment)
    copied = copies / "tracksolid_db/alarm_list"
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == {
        "1-2.parquet": b"two loads"
    }
    before = (copied / "1-2.parquet").stat()

    (table / "4-4.parquet").write_bytes(b"a new load")
    checked(*backup, "once", **environment)
    (table / "1-2.parquet").unlink()  # restore-archive brought it back to raw
    checked(*backup, "once", **environment)
    assert sorted(path.name for path in copied.iterdir()) == ["1-2.parquet", "4-4.parquet"]
    after = (copied / "1-2.parquet").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "copied again"

    # A name that is used again for other rows costs neither of them.
    (table / "1-2.parquet").write_bytes(b"other rows")
    checked(*backup, "once", **environment)
    assert sorted(path.read_bytes() for path in copied.iterdir()) == [
        b"a new load",
        b"other rows",
        b"two loads",
    ]

    # On another machine: the pipe of the runbook fills the folder that the orchestrator reads.
    new = tmp_path / "new machine"
    new.mkdir()
    pipe = subprocess.run(
        ["sh", "-c", f'sh "{backup[1]}" archive | tar -x -C "{new}"'],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert pipe.returncode == 0, pipe.stderr
    restored = new / "archive/tracksolid_db/alarm_list"
    assert {p.name: p.read_bytes() for p in restored.iterdir()} == {
        p.name: p.read_bytes() for p in copied.iterdir()
    }
    for path in (new / "archive").rglob("*"):
        assert path.stat().st_mode & 0o044 == 0o044, "the backup cannot read it as another user"


def test_a_backup_without_its_archive_is_no_backup(database: Database, tmp_path: Path) -> None:
    """If a file of the archive cannot be copied there is no dump, and the health check says so."""
    backup = ["sh", str(ROOT / "operations/maintenance/backup.sh")]
    folder = tmp_path / "backups"
    environment = database.environment() | {
        "BACKUP_DIR": str(folder),
        "ARCHIVE_DIR": str(tmp_path / "archive"),
        "PATH": f"{programs()}:{os.environ['PATH']}",
    }
    (tmp_path / "archive/alarm_list").mkdir(parents=True)
    (tmp_path / "archive/alarm_list/1-2.parquet").write_bytes(b"rows")
    folder.mkdir()
    (folder / "archive").write_text("in the way")
    with pytest.raises(AssertionError):
        checked(*backup, "once", **environment)
    assert [path.name for path in folder.iterdir()] == ["archive"]
    with pytest.raises(AssertionError):
        checked(*backup, "check", **environment)


RUNBOOK = (ROOT / "docs/RUNBOOK.md").read_text()


def runbook_section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", RUNBOOK, re.M | re.S)
    assert found, f"docs/RUNBOOK.md has no section {title}"
    return found[1]


def test_the_runbook_knows_every_volume() -> None:
    """What is on each volume, whether it is in the backup, and how it gets to a new machine."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", runbook_section("Backup"), re.M)
    in_backup = {volume: held for volume, _, held in rows}
    assert in_backup.keys() == STACK["volumes"].keys()
    moving = runbook_section("Moving to a bigger machine")
    for volume, held in in_backup.items():
        if held.startswith("no need"):
            continue
        assert f"`{volume}`" in moving, f"Moving leaves the volume {volume} behind"
    mounted = {mount.partition(":")[0] for mount in SERVICES["backup"]["volumes"]}
    copied = {volume for volume, held in in_backup.items() if held.startswith("copied")}
    assert copied
    assert copied <= mounted, "the service backup does not see these volumes"


def test_the_backup_sees_the_archive_where_the_orchestrator_writes_it() -> None:
    archive = SERVICES["orchestrator"]["environment"]["ARCHIVE_DIR"]
    assert SERVICES["backup"]["environment"]["ARCHIVE_DIR"] == archive
    for service in ("orchestrator", "backup"):
        mounts = [mount.split(":") for mount in SERVICES[service]["volumes"]]
        volumes = [volume for volume, place, *_ in mounts if archive.startswith(f"{place}/")]
        assert volumes == ["work"], f"{service} has no volume under {archive}"
    assert "work:/data/work:ro" in SERVICES["backup"]["volumes"], "a backup changes nothing"
    for title in ("Restore", "Moving to a bigger machine", "Disk full"):
        assert "archive" in runbook_section(title), title
    folder = Path(archive).parent
    receiver = f"run --rm -T --no-deps --entrypoint tar orchestrator -x -C {folder}"
    assert f"backup.sh archive | docker compose {receiver}\n" in runbook_section("Restore")
