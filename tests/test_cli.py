"""The command line from outside: output, exit codes, and no secrets in messages."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import command_line
import pytest
from databases import Databases
from terminal import on_terminal, plain

from operations.service import doctor
from sandbox import Sandbox, baseline
from settings import ROOT, Settings
from warehouse.database import Database
from webhook.receiver_settings import ReceiverSettings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def april() -> Iterator[Sandbox]:
    """A stand-in with the fleet of 2026-04-12."""
    with Sandbox(baseline(), login_interval_seconds=0) as running:
        yield running


@pytest.fixture(scope="module")
def environment(
    april: Sandbox, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    work_dir, database = tmp_path_factory.mktemp("cli"), Database(databases.with_raw().url)
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": databases.parsed(work_dir, database),
        "WORK_DIR": str(work_dir),
        "TRACKSOLID_CALLS_PER_SECOND": "1000",
        "TRACKSOLID_BACKOFF_SECONDS": "0.01",
    } | april.environment


@pytest.fixture(scope="module")
def run(environment: dict[str, str]) -> Run:
    def command(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return command_line.run(*arguments, env=environment | changed)

    return command


def test_help_shows_every_command_with_an_example(run: Run) -> None:
    overview = run("--help")
    assert overview.returncode == 0
    commands = re.findall(r"^\W+(\w+) {2,}\w", overview.stdout, re.MULTILINE)
    assert {"poll", "backfill", "locate", "audit", "doctor", "build", "docs", "demo"} <= set(
        commands
    )
    for name in commands:
        shown = run(name, "--help")
        assert shown.returncode == 0
        assert "Example" in shown.stdout or "orchestrate.py" in shown.stdout, name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["poll", "nosuch"], "no endpoint 'nosuch'; there are: alarm_list"),
        (["backfill"], "--from"),
        (["backfill", "--from", "2999-01-01"], "--from must lie before"),
        (["locate"], "IMEI"),
        (["nosuch"], "No such command"),
    ],
)
def test_wrong_usage_exits_2_and_shows_correct_usage(
    run: Run, arguments: list[str], says: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert says in re.sub(r"[\s│]+", " ", done.stderr)


def test_missing_credentials_are_named(run: Run) -> None:
    done = run("poll", TRACKSOLID_APP_SECRET="", TRACKSOLID_ACCOUNT="")
    assert done.returncode == 2
    text = re.sub(r"[\s│]+", " ", done.stderr)
    assert "TRACKSOLID_APP_SECRET, TRACKSOLID_ACCOUNT" in text


def test_refused_login_exits_1_and_prints_no_secret(run: Run) -> None:
    wrong = "0123456789abcdef0123456789abcde0"
    done = run("poll", TRACKSOLID_PASSWORD_MD5=wrong, TRACKSOLID_ACCOUNT="somebody")
    assert done.returncode == 1
    assert "refused account 'somebody'" in done.stderr
    assert wrong not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_unreachable_database_is_reported(run: Run) -> None:
    done = run("poll", DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/x")
    assert done.returncode == 1
    assert "cannot reach postgresql://u@127.0.0.1:1/x" in done.stderr
    assert "check DATABASE_URL" in done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.parametrize(
    "password", ["hidden%", "hid%den"]
)  # the second is invalid percent-encoding
def test_invalid_database_url_is_reported_without_its_password(run: Run, password: str) -> None:
    done = run("poll", DATABASE_URL=f"postgresql://u:{password}@127.0.0.1:1/x")
    assert done.returncode == 2
    assert "write % in a password as %25" in re.sub(r"\s+", " ", done.stderr)
    assert password not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_programs_get_all_parts_of_the_database_url() -> None:
    verified = Database("postgresql://u:a%40b@db:5/x%20y?sslmode=verify-full&sslrootcert=/ca.pem")
    assert verified.environment() == {
        "PGHOST": "db",
        "PGPORT": "5",
        "PGUSER": "u",
        "PGPASSWORD": "a@b",
        "PGDATABASE": "x y",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca.pem",
    }
    socket = Database("postgresql://u@/x?host=/var/run/postgresql&options=-crole%3Dr").environment()
    assert (socket["PGHOST"], socket["PGOPTIONS"]) == ("/var/run/postgresql", "-crole=r")
    assert (socket["PGPORT"], socket["PGPASSWORD"]) == ("5432", "")


def test_doctor_says_ok_or_how_to_fix_it(run: Run, april: Sandbox) -> None:
    well = run("doctor")
    assert well.returncode == 0, well.stdout
    lines = [line.split()[:2] for line in well.stdout.splitlines()]
    whats = [
        "settings",
        "clock",
        "database",
        "role",
        "raw",
        "models",
        "token",
        "grafana",
        "webhook",
        "notify",
    ]
    assert [["ok", what] for what in whats] == lines
    assert april.app_secret not in well.stdout
    ill = run(
        "doctor",
        TRACKSOLID_API_URL="http://127.0.0.1:1/",
        TRACKSOLID_APP_KEY="",
        WEBHOOK_TOKEN="a token",
        WEBHOOK_ALLOWED_NETWORKS="nonsense",
        NOTIFY_URL="nonsense",
    )
    assert ill.returncode == 1
    assert "WEBHOOK_ALLOWED_NETWORKS='nonsense' is wrong: it must be networks" in ill.stdout
    assert "NOTIFY_URL is wrong: it must be an address that apprise knows" in ill.stdout
    assert "FAIL settings" in ill.stdout
    assert "set TRACKSOLID_APP_KEY" in ill.stdout
    assert "check TRACKSOLID_API_URL" in ill.stdout


def test_doctor_reports_a_wrong_clock(
    april: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name.lower(): value for name, value in april.environment.items()}
    off = Settings.model_validate(given | {"work_dir": tmp_path})
    late = datetime.now(UTC) - timedelta(minutes=8)
    monkeypatch.setattr(doctor, "parsedate_to_datetime", lambda _: late)
    clock = next(check for check in doctor.checks(off) if check.what == "clock")
    assert not clock.ok
    assert "set up NTP" in clock.text


def test_april_fleet_from_poll_to_audit(
    run: Run, april: Sandbox, environment: dict[str, str]
) -> None:
    """2 fresh, 17 stale, 44 never reported, no driver names, one device in Kampala."""
    assert run("audit").returncode == 1  # nothing is built yet
    polled = run("poll")
    assert polled.returncode == 0, polled.stderr
    assert "44 devices missing" in polled.stdout
    built = run("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")
    assert built.returncode == 0, built.stdout
    rows = list(csv.DictReader(io.StringIO(run("audit", "--csv").stdout)))
    found = {
        name: sum(row["finding"] == name for row in rows) for name in {r["finding"] for r in rows}
    }
    assert found["never reported"] == 44
    assert found["stale"] == 17
    assert found["no driver name"] == 63
    assert "not in database" not in found
    document = json.loads(run("audit", "--json").stdout)
    assert document["findings"] == [{**row, "account": row["account"] or None} for row in rows]
    piped = run("audit").stdout
    program = [sys.executable, str(ROOT / "orchestrate.py"), "audit"]
    seen = plain(on_terminal(program, environment, columns=80))
    assert [line for line in seen.splitlines() if len(line) > 80] == []
    for text in (piped, seen, polled.stdout):
        assert "…" not in text
    for row in rows:
        assert row["imei"] in piped.split()
        assert row["imei"] in seen.split()
    freshness = "select freshness, count(*) from dwh_gold.vehicle_status_now group by 1 order by 1"
    assert run("psql", "-Atc", freshness).stdout.split() == [
        "fresh|2",
        "never_reported|44",
        "stale|17",
    ]
    where = "select city from dwh_gold.vehicle_status_now join tracksolid.devices using (imei)"
    kampala = run("psql", "-Atc", f"{where} where device_name = 'X3-63282'")
    assert kampala.stdout.strip() == "Kampala"


def test_audit_shows_a_device_that_left(run: Run, april: Sandbox) -> None:
    devices = april.world.devices
    gone = next(iter(devices))
    kept = dict(devices)
    try:
        del devices[gone]  # type: ignore[attr-defined]
        rows = list(csv.DictReader(io.StringIO(run("audit", "--csv").stdout)))
    finally:
        devices.clear()  # type: ignore[attr-defined]
        devices.update(kept)  # type: ignore[attr-defined]
    assert [row["imei"] for row in rows if row["finding"] == "not in API"] == [gone]


@pytest.mark.long
def test_second_demo_run_adds_no_duplicates(request: pytest.FixtureRequest) -> None:
    # Not in pytest's temporary folder: another pytest may lock the server's user out of it.
    folder = tempfile.TemporaryDirectory(prefix="fireside-demo-")
    request.addfinalizer(folder.cleanup)
    environment = {"PATH": os.environ["PATH"], "WORK_DIR": folder.name, "COLUMNS": "120"}
    program = [sys.executable, str(ROOT / "orchestrate.py"), "demo", "--days", "2"]
    things = {}
    for number in (1, 2):
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Nairobi" in done.stdout
        assert "Mombasa" in done.stdout
        assert "make psql DB=fireside_demo" in done.stdout
        rows = re.findall(r"^([\w.]+) +([\d,]+) +([\d,]+)$", done.stdout, re.MULTILINE)
        things[number] = {name: (count, new) for name, count, new in rows}
    assert things[1]["raw.track_list"][0] == things[1]["raw.track_list"][1]
    assert "tracksolid.device_events" in things[2]
    for name in things[2]:
        if name.startswith("tracksolid."):
            count, new = (int(text.replace(",", "")) for text in things[2][name])
            assert new < 0.05 * count, name


def test_product_does_not_import_the_sandbox() -> None:
    allowed = ("sandbox", "tests", "benchmarks", "operations/demo.py")
    for path in sorted(ROOT.glob("**/*")):
        name = str(path.relative_to(ROOT))
        if path.suffix in (".py", ".sql", ".yml") and not name.startswith((".", *allowed)):
            text = path.read_text()
            assert not re.search(r"^\s*(from|import) sandbox", text, re.MULTILINE), name
            assert name.startswith(("orchestrate.py", "operations")) or "sandbox" not in text, name


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/CONNECTIONS.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in text, name


def test_receiver_and_orchestrator_use_the_same_spool_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Independent of the working directories of the two processes."""
    monkeypatch.chdir(tmp_path)
    for name in ("SPOOL_PATH", "WORK_DIR", "ARCHIVE_DIR"):
        monkeypatch.setenv(name, "somewhere/else")
    given = Settings()
    receivers = ReceiverSettings(webhook_token="t", _env_file=None)
    places = {given.spool_path, given.work_dir, given.archive_dir, receivers.spool_path}
    assert places == {ROOT / "somewhere/else"}
