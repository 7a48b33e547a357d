"""A full disk here, a full disk of the server and a server out of reach are three things."""

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from loader.landing import Landing, LandingError
from operations.cli.command import Program
from operations.service import notify
from operations.service.orchestrator import Service
from operations.service.watchdog import Outage
from settings import Settings
from warehouse import full_disk
from warehouse.database import Database
from warehouse.dbt_runner import DbtFailed

NO_SPACE = OSError(errno.ENOSPC, "No space left on device", "/data/work/dlt/x")
NOT_REACHED = psycopg.OperationalError("connection refused")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "disk"),
    [
        (NO_SPACE, full_disk.WORK),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), full_disk.WORK),
        (caused(LandingError("load failed"), NO_SPACE), full_disk.WORK),
        (DbtFailed("dbt run failed\n[Errno 28] No space left on device: 'x'"), full_disk.WORK),
        (psycopg.errors.DiskFull("could not extend file"), full_disk.SERVER),
        (caused(LandingError("x"), psycopg.errors.DiskFull("y")), full_disk.SERVER),
        (
            DbtFailed('could not extend file "base/1/2": No space left on device'),
            full_disk.SERVER,
        ),
        (NOT_REACHED, None),
        (PermissionError(errno.EACCES, "Permission denied"), None),
    ],
)
def test_each_error_is_known_for_what_it_is(error: Exception, disk: str | None) -> None:
    assert full_disk.full_disk(error) == disk


def test_people_are_notified_of_the_disk_and_not_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(notify, "send", lambda _, title, text: sent.append((title, text)))
    outage, now = Outage(Settings(work_dir=tmp_path)), datetime(2026, 11, 18, tzinfo=UTC)
    for error in (NO_SPACE, psycopg.errors.DiskFull("x"), NOT_REACHED):
        for minutes in (0, 3, 6, 9):
            outage.report_failure(now + timedelta(minutes=minutes), error)
        now += timedelta(hours=1)
    assert [title for title, _ in sent] == [
        "the disk of the work folder is full for 5 minutes",
        "the disk of the database server is full for 5 minutes",
        "database unreachable for 5 minutes",
    ]
    assert "WORK_DIR" in sent[0][1]
    outage.report_recovery()
    assert sent[-1][0] == "jobs run again"
    assert len(sent) == 4


def test_the_service_waits_for_room_and_says_which_disk_is_full(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The landing's folder cannot be made: that is no outage of the database."""
    seen: list[Exception] = []
    recovered: list[None] = []
    service = Service(Settings(work_dir=tmp_path, orchestrator_port=0), database)
    monkeypatch.setattr(Outage, "report_recovery", lambda _: recovered.append(None))

    def report(_: Outage, __: datetime, error: Exception) -> None:
        seen.append(error)
        if len(seen) == 2:
            service.stop()

    monkeypatch.setattr(Outage, "report_failure", report)
    monkeypatch.setattr(Landing, "prepare", lambda _: (_ for _ in ()).throw(NO_SPACE))
    service.run()
    assert seen == [NO_SPACE, NO_SPACE]
    assert recovered == []  # it did lead, but no job could run


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NO_SPACE, "the disk of the work folder is full"),
        (psycopg.errors.DiskFull("could not extend file"), "the disk of the database server is"),
        (psycopg.OperationalError("server closed\nthe connection"), "database: server closed the"),
    ],
)
def test_commands_print_one_line(error: Exception, says: str) -> None:
    app = typer.Typer(cls=Program, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    done = CliRunner().invoke(app, ["fail"])
    assert done.exit_code == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_recognised_by_what_the_system_says() -> None:
    with pytest.raises(OSError, match="No space left") as full:
        Path("/dev/full").write_text("x")
    assert full_disk.full_disk(full.value) == full_disk.WORK
