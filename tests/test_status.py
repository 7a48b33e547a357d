"""orchestrate.py status, on an empty database and on one in use."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from operations.cli.json_output import print_json
from operations.cli.status_screen import print_status, status_fields
from operations.service import status
from operations.service.job_runs import JobRuns
from operations.service.leader import Leader
from settings import Settings
from warehouse.database import Database
from webhook import spool_file

TextOf = Callable[[Settings, Database], str]
RUN = """
    insert into dwh_gold.dbt_run_history (
        run_id, command, started_at, finished_at, node, resource_type, name, status, message
    )
    select
        run, command, now() - took * age, now() - took * age + took, name, kind, name, status,
        message
    from (values
        ('1', 'build', 99, 'model', 'trips', 'error', 'of old'),
        ('2', 'run', 2, 'model', 'trips', 'success', null),
        ('2', 'run', 2, 'model', 'alarms', 'error', 'value too long'),
        ('3', 'source freshness', 1, 'source', 'raw.jobs', 'error', null)
    ) as history (run, command, age, kind, name, status, message)
    cross join (select interval '1 minute' as took) as minute
"""
TOKEN = """
    insert into tracksolid.api_token_cache (account, app_key, access_token, expires_at)
    values ('fleet', 'key', 'very secret', now() + interval '80 minutes')
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        work_dir=tmp_path / "work",
        spool_path=tmp_path / "spool.sqlite",
        tracksolid_account="fleet",
        tracksolid_app_key="key",
    )


@pytest.fixture
def text_of(capsys: pytest.CaptureFixture[str]) -> TextOf:
    """What the command prints in a pipe."""

    def run(settings: Settings, database: Database) -> str:
        print_status(status.read(settings, database))
        return capsys.readouterr().out

    return run


def test_status_of_an_empty_database_says_so(
    settings: Settings, database: Database, text_of: TextOf
) -> None:
    text = text_of(settings, database)
    assert "No orchestrator runs." in text
    assert "No job has run yet" in text
    for line in (
        "newest fix none yet",
        "newest load none yet",
        "token none yet",
        "last build none",
    ):
        assert line in " ".join(text.split())


def test_status_shows_jobs_spool_token_and_failures_of_the_last_build(
    settings: Settings, database: Database, text_of: TextOf
) -> None:
    runs = JobRuns(database)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    for job, failed in (("track_list", True), ("location_list", False), ("nightly", None)):
        runs.begin(job, soon)
        if failed:
            assert runs.fail(job, "System is busy") == 1
            runs.begin(job, soon)
            assert runs.fail(job, "System is still busy") == 2
        elif failed is False:
            runs.succeed(job, 1234, None)
    with database.connect() as connection:
        connection.execute(RUN)
        connection.execute(TOKEN)
    with closing(spool_file.create(settings.spool_path)) as spool:
        for number in range(3):
            spool.execute(
                "insert into pushes (receipt, path, content_type, received_at, body)"
                " values (?, '/pushhb', 'x', ?, x'00')",
                [str(number), (datetime.now(UTC) - timedelta(minutes=4)).isoformat()],
            )
    leader = Leader(database)
    assert leader.try_acquire()
    text = text_of(settings, database)
    leader.release()

    assert "The orchestrator runs." in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "failed (2 in a row)" in rows["track_list"]
    assert "track_list: System is still busy" in rows["track_list:"]
    assert "1,234" in rows["location_list"]
    assert " ok " in rows["location_list"]
    assert "running" in rows["nightly"]
    assert "3 pushes wait, the oldest for 4 min" in text
    assert "valid for another 80 min" in text
    assert "very secret" not in text
    assert "dbt run, 1 good, 0 warnings, 1 failed, took 60 s" in text
    assert "model alarms: value too long" in text
    assert "of old" not in text

    after = text_of(settings, database)
    assert "No orchestrator runs." in after
    assert "killed" in after  # although the database still says running


def test_status_ignores_other_advisory_locks(settings: Settings, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('fireside dbt'))")
        assert not status.read(settings, database).is_led


def test_invalid_spool_is_reported(settings: Settings, database: Database, text_of: TextOf) -> None:
    settings.spool_path.write_text("no database, and long enough to look like one " * 50)
    assert "cannot be read: file is not a database" in " ".join(text_of(settings, database).split())


def test_json_has_ages_in_seconds_and_instants_with_their_zone(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = JobRuns(database)
    runs.begin("trips", None)
    runs.succeed("trips", 12, None)
    with database.connect() as connection:
        connection.execute(RUN)
        connection.execute(TOKEN)
    print_json(status_fields(status.read(settings, database)))
    document = json.loads(capsys.readouterr().out)
    assert document["is_led"] is False
    (job,) = document["jobs"]
    assert (job["job"], job["status"], job["rows"]) == ("trips", "ok", 12)
    assert job["duration_s"] < 60
    for instant in (document["at"], document["token_expires_at"], job["started_at"]):
        assert datetime.fromisoformat(instant).tzinfo is not None
    assert document["newest_fix_age_s"] is None
    assert document["last_build"]["failed"] == ["model alarms: value too long"]
    assert document["last_build"]["good_count"] == 1
