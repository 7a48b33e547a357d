"""The nightly job: every step runs, failures are recorded, needed rows are kept."""

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import command_line
import pytest
from conftest import settings_for

from analyst.docs import site
from analyst.report import monthly
from loader.landing import Landing
from loader.poll import Loader
from operations.maintenance import prune
from operations.service import nightly
from operations.service.job_runs import JobRuns
from sandbox import Fleet, Sandbox
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import DBT_ROLE, Database

HISTORY = """
    select command, resource_type, name, status, failures, message, age_s
    from dwh_gold.dbt_run_history where name = %s order by started_at desc limit 1
"""
# What dbt builds here: enough for a step to succeed, to fail and to be recorded.
SELECTED = {
    "build": ["--select", "kpi_register kpi_rules_exist", "--indirect-selection", "cautious"],
    "source": ["--select", "source:raw.location_list"],
}


@pytest.fixture(scope="module")
def night(
    fleet_world: Fleet, new_database: Callable[[], Database], tmp_path_factory
) -> tuple[Settings, Database]:
    """Settings and a database that was polled once."""
    database, work_dir = new_database(), tmp_path_factory.mktemp("night")
    with Sandbox(fleet_world, login_interval_seconds=0) as api:
        settings = settings_for(api, database, work_dir)
        Loader(settings, database).poll(["child_list", "device_list", "location_list"])
    return settings, database


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Make nightly runs short: few dbt nodes, no real documents; returns what would be written."""
    run_all, written = dbt_runner.run, []

    def run_selected(settings, database, arguments, progress=None) -> None:
        run_all(settings, database, [*arguments, *SELECTED[arguments[0]]], progress)

    monkeypatch.setattr(dbt_runner, "run", run_selected)
    monkeypatch.setattr(site, "write", lambda *_, **__: written.append("docs"))
    monkeypatch.setattr(monthly, "usual_place", lambda month: tmp_path / f"{month:%Y-%m}.html")
    monkeypatch.setattr(
        monthly, "write", lambda _, month, city, to: (written.append(str(month)), to.touch())
    )
    return written


def rows(database: Database, query: str, *values: object) -> list[tuple]:
    with database.connect() as connection:
        return connection.execute(query.encode(), values).fetchall()


def test_failed_step_is_recorded_and_stops_no_other_step(
    night: tuple[Settings, Database], short: list[str]
) -> None:
    settings, database = night
    with database.acting_as(DBT_ROLE).connect() as connection:
        connection.execute("create table tracksolid.operating_rules (rule text, agreed boolean)")
    with database.connect() as connection:
        connection.execute(
            "update raw.api_calls set started_at = started_at - interval '1 day'"
            " where endpoint = 'location_list'"
        )
    with pytest.raises(nightly.NightlyFailed) as failed:
        nightly.run(settings, database, date(2026, 12, 1))
    assert str(failed.value).split("; ") == [
        "build: test kpi_rules_exist",
        "freshness: source raw.location_list",
    ]
    assert short == ["docs", "2026-11-01"]
    (built,) = rows(database, HISTORY, "kpi_register")
    assert built[1:5] == ("model", "kpi_register", "success", None)
    (broken,) = rows(database, HISTORY, "kpi_rules_exist")
    assert broken[3] == "fail"
    assert broken[4] > 0
    assert "Got" in broken[5]
    (stale,) = rows(database, HISTORY, "raw.location_list")
    assert stale[0].startswith("source freshness")
    assert stale[3] == "error"
    assert stale[6] > 86_000


@pytest.mark.parametrize("is_polled", [True, False])
def test_trail_freshness_is_checked_only_if_the_trail_is_polled(
    night: tuple[Settings, Database], monkeypatch: pytest.MonkeyPatch, is_polled: bool
) -> None:
    settings, database = night
    asked = settings.model_copy(update={"poll_trail": is_polled})
    with pytest.raises(dbt_runner.DbtFailed, match=r"raw\.location_list") as failed:
        nightly._steps(asked, database, date(2026, 12, 1))["freshness"]()
    assert ("freshness of raw.track_list" in str(failed.value)) == is_polled
    (polled,) = rows(database, HISTORY, "raw.device_list")
    assert polled[3] == "pass"
    assert 0 < polled[6] < 3600


def test_docs_show_the_sql_that_the_build_compiled(
    night: tuple[Settings, Database], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, database = night
    run_all = dbt_runner.run

    def run_selected(settings, database, arguments, progress=None) -> None:
        run_all(settings, database, [*arguments, "--select", "ingestion_log"], progress)

    with monkeypatch.context() as patch, dbt_runner.in_one_process(settings, database):
        patch.setattr(dbt_runner, "run", run_selected)
        run_selected(settings, database, ["run"])
        page = site.write(settings, database, tmp_path, is_compiled=True)
    assert '"compiled_code": "' in page.read_text()  # null if not compiled


def test_existing_report_is_rewritten_only_on_the_first_of_the_month(
    night: tuple[Settings, Database], short: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_runner, "run", lambda *_: None)
    for day in (2, 3, 1):
        nightly.run(*night, date(2026, 12, day))
    nightly.run(*night, date(2027, 1, 15))  # the run on the first was missed
    assert [written for written in short if written != "docs"] == [
        *("2026-11-01", "2026-11-01", "2026-12-01"),
    ]


def test_failed_nightly_command_is_recorded_and_exits_1(
    night: tuple[Settings, Database], tmp_path: Path
) -> None:
    _, database = night
    Landing(database, tmp_path).prepare()
    dead = {"DBT_PROFILES_DIR": "/nowhere", "PATH": os.environ["PATH"]}
    environment = dead | {
        "DATABASE_URL": database.url,
        "WORK_DIR": str(tmp_path),
        "DBT_THREADS": "x",
    }
    done = command_line.run("nightly", "--day", "2026-12-02", env=environment)
    assert done.returncode == 1, done.stderr
    assert "build: dbt build --exclude-resource-type unit_test failed" in done.stderr
    (row,) = rows(database, HISTORY, "dbt")
    assert row[:4] == ("source freshness", "invocation", "dbt", "error")
    (run,) = [run for run in JobRuns(database).all() if run["job"] == "nightly"]
    assert (run["status"], run["failures_in_a_row"]) == ("failed", 1)


LEDGER = """
    insert into tracksolid.builds (invocation_id, began_at)
    select 'x', now() - interval '10 years' from generate_series(1, 3);
    insert into tracksolid.offered_loads values ('all have read it', 1), ('half have read it', 2);
    insert into tracksolid.claims
    values ('fact', 0, 2), ('mart', 0, 2), ('other_mart', 0, 1), ('gone', 0, 0);
    insert into tracksolid.changed_days
    values ('fact', 1, '2026-03-02'), ('fact', 2, '2026-03-02'), ('mart', 3, '2026-03-02');
    insert into tracksolid.changed_spans
    select 'fact', build_id, 'x', now(), now() from generate_series(1, 3) as build_id;
    insert into tracksolid.first_times
    select 'fact', load_id, now() from tracksolid.offered_loads;
    insert into raw.load_times
    select load_id, now() from tracksolid.offered_loads
    union all
    values ('never offered', now());
"""


def test_housekeeping_deletes_only_what_all_models_have_read(
    database: Database, tmp_path: Path
) -> None:
    def model(name: str, *taken: str) -> dict:
        config = {"reads_changes_of": list(taken), "reads_from": list(taken)}
        return {"resource_type": "model", "name": name, "config": config}

    settings = Settings(work_dir=tmp_path)
    target = dbt_runner.target(settings, database)
    target.mkdir(parents=True)
    models = [model("fact"), model("mart", "fact"), model("other_mart", "fact")]
    (target / "manifest.json").write_text(json.dumps({"nodes": dict(enumerate(models))}))
    with database.connect() as connection:
        connection.execute(LEDGER.encode())

    prune.prune(settings, database)
    assert rows(database, "select model, build_id from tracksolid.changed_days") == [("fact", 2)]
    spans = rows(database, "select build_id from tracksolid.changed_spans order by 1")
    assert spans == [(2,), (3,)]
    assert rows(database, "select model, build_id from tracksolid.claims order by 1") == [
        ("fact", 2),
        ("mart", 2),
        ("other_mart", 1),
    ]
    assert rows(database, "select load_id from tracksolid.first_times") == [("half have read it",)]
    assert rows(database, "select load_id from raw.load_times order by 1") == [
        ("half have read it",),
        ("never offered",),
    ]
    assert rows(database, "select build_id from tracksolid.builds") == [(3,)]
