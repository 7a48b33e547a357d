"""The orchestrator: schedule, leader election, stop, kill, takeover and notifications."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from conftest import settings_for
from fleets import land_new_fixes, one
from pydantic import SecretStr
from waiting import TIMEOUT_S, eventually

from operations.maintenance import prune
from operations.service import notify, orchestrator, schedule
from operations.service.job_runs import JobRuns
from operations.service.jobs import JobActions, JobFailed, JobResult
from operations.service.leader import KEY
from operations.service.orchestrator import Service, Stuck
from operations.service.schedule import ScheduledJob, night_of
from operations.service.watchdog import LateNight
from sandbox import Sandbox, fleet
from settings import ROOT, Settings
from warehouse import dbt_process, dbt_runner, pending_loads
from warehouse.database import Database
from webhook import spool_file

ZONE = ZoneInfo("Africa/Nairobi")
OFTEN = IntervalTrigger(seconds=0.3)
PUSH = b'data_list=[{"deviceImei":"860000000000017","gateTime":"2026-03-02 09:30:12"}]'
FORM = "application/x-www-form-urlencoded"
DBT_SESSIONS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name = %s
"""
END_LOCK_HOLDER = """
    select pg_terminate_backend(pid) from pg_locks
    where locktype = 'advisory' and objid::bigint = hashtext(%s)::bigint & 4294967295
    and database = (select oid from pg_database where datname = current_database())
"""


def runs(database: Database) -> dict[str, dict]:
    return {str(run["job"]): run for run in JobRuns(database).all()}


def run_column(database: Database, job: str, column: str) -> object:
    """A column of the job's row in dwh_gold.job_runs; None before its first run."""
    return runs(database).get(job, {}).get(column)


@contextmanager
def serving(
    settings: Settings, database: Database, plan: Callable[..., Sequence[ScheduledJob]]
) -> Iterator:
    """Run a service with these jobs in a thread of this process."""
    service = Service(settings, database, plan)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join()


@pytest.fixture(scope="module")
def live() -> Iterator[Sandbox]:
    with Sandbox(fleet(seed=3, days=1, devices=10), login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def settings(live: Sandbox, database: Database, tmp_path: Path) -> Settings:
    spool = tmp_path / "spool.sqlite"
    return settings_for(live, database, tmp_path / "work", spool_path=spool, orchestrator_port=0)


def sweep_calls(api: Sandbox) -> int:
    return sum(request.method.endswith("location.list") for request in list(api.requests))


def test_slow_job_delays_neither_sweep_nor_drain(
    live: Sandbox, database: Database, settings: Settings
) -> None:
    may_end, begun = threading.Event(), []

    def slow() -> JobResult:
        begun.append(1)
        may_end.wait(TIMEOUT_S)
        return JobResult()

    def plan(_: Settings, work: JobActions) -> Sequence[ScheduledJob]:
        return (
            ScheduledJob("slow", OFTEN, slow, "poll"),
            ScheduledJob("location_list", OFTEN, partial(work.poll, ["location_list"]), "sweep"),
            ScheduledJob("drain", OFTEN, work.drain, "drain"),
        )

    with serving(settings, database, plan):
        eventually(lambda: begun, "the slow job to begin")
        before = sweep_calls(live)
        eventually(
            lambda: sweep_calls(live) >= before + 9, "three more sweeps"
        )  # three calls a sweep
        with closing(spool_file.create(settings.spool_path)) as spool:
            spool.execute(
                "insert into pushes (receipt, path, content_type, received_at, body)"
                " values ('r', '/pushevent', ?, ?, ?)",
                [FORM, datetime.now(UTC).isoformat(), PUSH],
            )
        eventually(
            lambda: one(database, "select count(*) from raw.push_event") == 1, "the push in raw"
        )
        assert runs(database)["slow"]["status"] == "running"
        assert len(begun) == 1
        eventually(
            lambda: one(database, "select pushes_waiting from dwh_gold.spool_status") == 0,
            "an empty spool",
        )
        may_end.set()
    sweep = runs(database)["location_list"]
    assert sweep["succeeded_at"]
    # Two clocks: next_run_at is the service's time, started_at the database's.
    assert sweep["next_run_at"] > sweep["started_at"] - timedelta(minutes=1)
    assert sweep["failures_in_a_row"] == 0


def test_clock_step_while_the_schedule_is_made_restarts_it(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps_s, made, make = [0.0], [], schedule.scheduler

    def make_and_step_once(*arguments: Any) -> BackgroundScheduler:
        made.append(make(*arguments))
        steps_s[0] = -3600.0
        return made[-1]

    monkeypatch.setattr(orchestrator, "_clock_offset_s", lambda: steps_s[0])
    monkeypatch.setattr(schedule, "scheduler", make_and_step_once)
    with serving(settings, database, lambda *_: ()):
        eventually(lambda: len(made) == 2, "a second schedule", context=lambda: made)


@contextmanager
def inbox() -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that receives notifications; yields its address and the titles received."""
    titles: list[str] = []

    class NotificationHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            titles.append(body["title"].removeprefix("Fireside: "))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), NotificationHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}", titles
    server.shutdown()


def test_repeated_failure_is_notified_once_and_leader_returns_after_lost_lock(
    database: Database, settings: Settings
) -> None:
    outcomes = iter([*["no route"] * 5, None, None])
    seen: list[int] = []

    def broken() -> JobResult:
        seen.append(1)
        if reason := next(outcomes, None):
            raise JobFailed(reason)
        return JobResult(7)

    with inbox() as (url, titles):
        notified = settings.model_copy(update={"notify_url": SecretStr(url)})
        with serving(
            notified, database, lambda *_: [ScheduledJob("broken", OFTEN, broken, "poll")]
        ):
            eventually(lambda: len(seen) >= 4, "four runs")
            failing = runs(database)["broken"]
            assert failing["message"] == "no route"
            eventually(lambda: len(seen) >= 8, "eight runs")
            assert titles == ["job broken failed 3 times in a row", "job broken recovered"]
            assert runs(database)["broken"]["failures_in_a_row"] == 0

            assert one(database, END_LOCK_HOLDER, KEY)
            number = len(seen)
            eventually(lambda: len(seen) >= number + 3, "three runs after the lock was lost")
        assert len(titles) == 2


def test_service_raises_stuck_if_a_job_outlives_the_lost_lock(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.service.orchestrator.LOST_LOCK_TIMEOUT_S", 1.0)
    may_end, begun = threading.Event(), []

    def slow() -> JobResult:
        begun.append(1)
        may_end.wait(TIMEOUT_S)
        return JobResult()

    service = Service(settings, database, lambda *_: [ScheduledJob("slow", OFTEN, slow, "poll")])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(service.run)
        eventually(lambda: begun, "the slow job to begin")
        assert one(database, END_LOCK_HOLDER, KEY)
        with pytest.raises(Stuck, match="slow: still running"):
            running.result(TIMEOUT_S)
        may_end.set()


def test_missed_jobs_are_caught_up_at_start(settings: Settings, database: Database) -> None:
    jobs = schedule.plan(settings, JobActions(settings, database, lambda: None))
    nightly = next(job for job in jobs if job.name == "nightly")
    morning = datetime(2026, 12, 3, 9, tzinfo=ZONE)
    night = datetime(2026, 12, 3, 2, 30, tzinfo=ZONE)
    assert not nightly.is_overdue(morning, night + timedelta(minutes=10))
    assert nightly.is_overdue(morning, night - timedelta(minutes=1))
    assert nightly.is_overdue(morning, None)
    assert night_of(nightly, morning).isoformat() == "2026-12-03"
    assert night_of(nightly, night - timedelta(hours=1)).isoformat() == "2026-12-02"

    now = datetime.now(ZONE)
    succeeded = {job.name: now - timedelta(days=2) for job in jobs}
    daily = {"devices", "fences", "late"}
    succeeded |= dict.fromkeys(daily, now)
    made = schedule.scheduler(jobs, lambda _: None, succeeded, ZONE)
    made.start(paused=True)
    due = {job.id for job in made.get_jobs() if job.next_run_time <= datetime.now(ZONE)}
    made.shutdown()
    assert due == {job.name for job in jobs} - daily
    assert {job.name for job in jobs} == {
        *("location_list", "alarm_list", "track_mileage", "parking_report", "track_list"),
        *("devices", "fences", "late", "drain", "build", "nightly"),
    }
    without_trail = settings.model_copy(update={"poll_trail": False})
    fewer = schedule.plan(without_trail, JobActions(without_trail, database, lambda: None))
    assert {job.name for job in jobs} - {job.name for job in fewer} == {"track_list"}


def test_daily_jobs_are_notified_at_their_first_failure(
    settings: Settings, database: Database
) -> None:
    jobs = schedule.plan(settings, JobActions(settings, database, lambda: None))
    daily = {job.name for job in jobs if job.last_due(datetime.now(ZONE))}
    assert {job.name for job in jobs if notify.title_of_change(job.name, 0, 1)} == daily


def test_late_nightly_job_is_notified_once(settings: Settings, database: Database) -> None:
    jobs = schedule.plan(settings, JobActions(settings, database, lambda: None))
    with inbox() as (url, titles):
        notified = settings.model_copy(update={"notify_url": SecretStr(url)})
        late_night = LateNight(notified, jobs)
        night = datetime(2026, 12, 3, 2, 30, tzinfo=ZONE)
        late_night.check(night + timedelta(hours=1), night - timedelta(days=1))
        assert titles == []
        for hours in (3, 4, 5):
            late_night.check(night + timedelta(hours=hours), night - timedelta(days=1))
        assert titles == ["nightly job is late"]
        late_night.check(night + timedelta(hours=27), night + timedelta(hours=25))
        assert titles == ["nightly job is late"]


started: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def _kill_started_processes() -> Iterator[None]:
    yield
    while started:
        started.pop().kill()


RUN = (str(ROOT / "orchestrate.py"), "run")
RUN_WITH_SLOW_JOB = """
import time
from apscheduler.triggers.interval import IntervalTrigger
from operations.cli.serving import run
from operations.service import orchestrator
from operations.service.schedule import ScheduledJob

def plan(*_):
    return [ScheduledJob("slow", IntervalTrigger(seconds=1), lambda: time.sleep(600), "poll")]

orchestrator.LOST_LOCK_TIMEOUT_S = 1
orchestrator.Service.__init__.__defaults__ = (plan,)
run()
"""


class Orchestrator:
    """`orchestrate.py run` as a process, with its /health, /metrics and log."""

    def __init__(
        self, environment: dict[str, str], log: Path, program: Sequence[str] = RUN
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                env=environment | {"ORCHESTRATOR_PORT": str(self._port)},
                stderr=stderr,
            )
        started.append(self.process)

    def role(self) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"http://127.0.0.1:{self._port}/health", timeout=TIMEOUT_S).json()[
                "role"
            ]
        except requests.ConnectionError:
            return None

    def metrics(self) -> str:
        return requests.get(f"http://127.0.0.1:{self._port}/metrics", timeout=TIMEOUT_S).text


@pytest.mark.long
def test_stuck_process_restarts_itself(
    live: Sandbox, database: Database, settings: Settings, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database.url}
    environment |= {"WORK_DIR": str(settings.work_dir), "PYTHONPATH": str(ROOT)} | live.environment
    stuck = Orchestrator(environment, tmp_path / "stuck.log", ["-c", RUN_WITH_SLOW_JOB])
    eventually(
        lambda: stuck.role() == "leader" and run_column(database, "slow", "status") == "running",
        "the slow job to run",
    )
    assert one(database, END_LOCK_HOLDER, KEY)
    eventually(
        lambda: stuck.log.read_text().count('"became leader"') == 2, "the second process to lead"
    )
    assert "restarting: some jobs did not end" in stuck.log.read_text()
    eventually(lambda: stuck.role() == "leader", "the leader")
    stuck.process.send_signal(signal.SIGTERM)
    assert stuck.process.wait(TIMEOUT_S) == 0


@pytest.mark.long
def test_gold_survives_kill_takeover_and_stop_during_build(
    live: Sandbox, database: Database, settings: Settings, tmp_path: Path
) -> None:
    environment = (
        {"PATH": os.environ["PATH"], "DATABASE_URL": database.url}
        | {"WORK_DIR": str(settings.work_dir), "SPOOL_PATH": str(settings.spool_path)}
        | {"TRACKSOLID_CALLS_PER_SECOND": "1000", "TRACKSOLID_BACKOFF_SECONDS": "0.01"}
        | live.environment
    )

    def is_building() -> bool:
        return one(database, DBT_SESSIONS, dbt_runner.SESSIONS) != 0

    first = Orchestrator(environment, tmp_path / "first.log")
    eventually(lambda: first.role() == "leader", "the first to lead")
    second = Orchestrator(environment, tmp_path / "second.log")
    eventually(lambda: second.role() == "standby", "the second to stand by")
    eventually(is_building, "the first build")
    first.process.kill()
    first.process.wait()
    eventually(lambda: second.role() == "leader", "the second to lead")
    eventually(
        lambda: 'fireside_job_runs_total{job="location_list",status="ok"}' in second.metrics(),
        "a sweep of the second",
    )

    # The second orchestrator starts its own build: the first one's build died with it.
    eventually(
        lambda: is_building() and run_column(database, "build", "status") == "running",
        "a build of the second",
    )
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(TIMEOUT_S) == 0, second.log.read_text()
    assert not is_building()
    build = runs(database)["build"]
    assert (build["status"], build["failures_in_a_row"]) == ("stopped", 0)
    assert build["message"].endswith("was stopped")
    lines = [json.loads(line) for line in second.log.read_text().splitlines()]
    assert any(line.get("load_id") and line["run_id"] and line["job"] for line in lines)
    assert one(
        database, "select count(*) from dwh_gold.dbt_run_history where node like 'invocation%%'"
    )

    # The next build reads the loads that the stopped one did not; then none is pending.
    work = JobActions(settings, database, lambda: None)
    assert pending_loads.exist(database)
    assert work.build().rows > 0
    assert not pending_loads.exist(database)
    count = "select count(*) from dwh_gold.dbt_run_history"
    before = one(database, count)
    assert work.build() == JobResult()
    assert one(database, count) == before
    prune.prune(settings, database)
    assert one(database, "select count(*) from tracksolid.changed_days") == 0
    assert not pending_loads.exist(database)
    with_fix = "select count(*) from tracksolid.live_positions"
    asked = "select count(distinct imei) from raw.location_list where body !~ '\"lat\" *: *0[,.}]'"
    assert one(database, with_fix) == one(database, asked)
    land_new_fixes(database)
    assert pending_loads.exist(database)


def test_output_of_crashed_dbt_is_in_the_error_and_not_in_our_log(
    database: Database,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text("raise SystemExit('no room for dbt')")
    monkeypatch.setattr(dbt_process, "PROGRAM", str(dying))
    with pytest.raises(dbt_runner.DbtFailed, match="no room for dbt"):
        dbt_runner.run(settings, database, ["run"], lambda *_: None)
    assert capfd.readouterr().err == ""
