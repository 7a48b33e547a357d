"""The loader over HTTP against a misbehaving stand-in: no record is lost, every fault reported."""

import base64
import dataclasses
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fleets
import pytest
import structlog
from conftest import NOW, settings_for
from databases import Databases
from waiting import TIMEOUT_S, eventually

import loader.client
import loader.poll
import loader.token
from loader.batch import Batch, Origin
from loader.fetcher import Summary
from loader.http import LoginRefused
from loader.landing import Landing, LandingError
from loader.poll import Loader
from sandbox import Fault, Fleet, Sandbox, Sent
from sandbox.faults import POISON
from warehouse.database import Database

TRIPS = "jimi.device.track.mileage"
SWEEP = "jimi.user.device.location.list"
ALARMS = "jimi.device.alarm.list"
TO = datetime.fromtimestamp(NOW, UTC)
FROM = TO - timedelta(days=3)


def records(database: Database, table: str) -> set[tuple[str, str]]:
    with database.connect() as connection:
        return set(connection.execute(f"select imei, body from raw.{table}".encode()).fetchall())


def calls(database: Database, where: str = "true") -> list[dict]:
    with database.connect() as connection:
        rows = connection.execute(
            f"select to_jsonb(c) from raw.api_calls as c where {where} order by started_at".encode()
        ).fetchall()
    return [row for (row,) in rows]


@pytest.fixture
def database(request: pytest.FixtureRequest, databases: Databases, world: Fleet) -> Database:
    if "fleet_known" in request.fixturenames:
        return fleets.registered(databases, world)
    return databases.with_raw()


@pytest.fixture
def fleet_known(loader: Loader) -> Loader:
    """A loader whose database knows the devices."""
    return loader


@pytest.fixture(scope="module")
def all_trips(
    world, new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> set[tuple[str, str]]:
    """The trips that a fault-free API returns."""
    database = new_database()
    with Sandbox(world) as quiet:
        settings = settings_for(quiet, database, tmp_path_factory.mktemp("quiet"))
        Loader(settings, database).backfill(FROM, TO, ["track_mileage"])
    found = records(database, "track_mileage")
    assert len(found) > 100
    return found


def backfill_trips(loader: Loader) -> Summary:
    (summary,) = loader.backfill(FROM, TO, ["track_mileage"])
    return summary


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RATE_LIMITED,
        Fault.TOKEN_EXPIRED,
        Fault.SYSTEM_BUSY,
        Fault.HTTP_500,
        Fault.HTML_PAGE,
        Fault.CUT_OFF,
        Fault.NOT_JSON,
        Fault.STALL,
        Fault.RESET,
        Fault.SHUFFLED,
    ],
)
@pytest.mark.parametrize("script", [{"times": 3}, {"rate": 0.3}, {"times": 2, "after": 2}])
def test_no_api_fault_loses_a_record(
    fleet_known: Loader,
    sandbox: Sandbox,
    database: Database,
    all_trips: set,
    fault: Fault,
    script: dict,
) -> None:
    sandbox.misbehave(TRIPS, fault, seconds=0.2, **script)
    summary = backfill_trips(fleet_known)
    assert summary.errors == []
    assert records(database, "track_mileage") == all_trips


@pytest.mark.parametrize("first_page", [None, Fault.SHUFFLED, Fault.NEW_FIELD])
def test_repeated_page_is_requested_again(
    fleet_known: Loader,
    sandbox: Sandbox,
    database: Database,
    all_trips: set,
    first_page: Fault | None,
) -> None:
    # The devices of one account are one query with several pages. Its second and third call get
    # page one again, perhaps in another order or with another record first.
    devices = sandbox.world.devices.values()
    imeis = {device.imei for device in devices if device.account == sandbox.account}
    if first_page:
        sandbox.misbehave(TRIPS, first_page, times=1)
    sandbox.misbehave(TRIPS, Fault.REPEATED_PAGE, times=2, after=1)
    with structlog.testing.capture_logs() as logs:
        (summary,) = fleet_known.backfill(FROM, TO, ["track_mileage"], sorted(imeis))
    assert summary.errors == []
    landed = records(database, "track_mileage")
    expected = {record for record in all_trips if record[0] in imeis}
    assert len(landed) == len(expected)
    assert len(expected - landed) == (first_page is Fault.NEW_FIELD)
    assert any("repeats an earlier page" in str(line.get("reason")) for line in logs)


def test_window_with_a_full_answer_is_halved(
    fleet_known: Loader,
    sandbox: Sandbox,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sandbox.history_methods.MOST_ALARMS", 200)
    fleet_known._endpoints = tuple(
        dataclasses.replace(e, most_rows=e.most_rows and 200) for e in fleet_known._endpoints
    )
    devices = [d for d in sandbox.world.devices.values() if d.account == sandbox.account]
    # After two full pages, every attempt to get a third one fails.
    sandbox.misbehave(ALARMS, Fault.REPEATED_PAGE, times=loader.client.ATTEMPTS, after=2)
    (summary,) = fleet_known.backfill(FROM, TO, ["alarm_list"], [d.imei for d in devices])
    assert summary.errors == []
    raised = sum(len(sandbox.world.alarms(d.imei, NOW - 3 * 86400, NOW)) for d in devices)
    assert len(records(database, "alarm_list")) == raised > 200


def test_lasting_fault_names_what_is_missing_and_the_gap_is_fetched_later(
    fleet_known: Loader, sandbox: Sandbox, database: Database, all_trips: set
) -> None:
    sandbox.misbehave(TRIPS, Fault.HTTP_500, rate=1.0)
    with structlog.testing.capture_logs() as logs:
        summary = backfill_trips(fleet_known)
    assert summary.errors
    imeis = set(sandbox.world.devices)
    for part in (TRIPS, "account sandbox_fleet", "2026-11-15 09:30:00 to 2026-11-18", "HTTP 500"):
        assert all(part in error for error in summary.errors)
    assert {imei for imei in imeis if imei in " ".join(summary.errors)} == imeis
    assert [line for line in logs if line["event"] == "gave up"]
    assert all(row["window_end"] is None for row in calls(database, "endpoint='track_mileage'"))
    sandbox.clear()
    assert backfill_trips(fleet_known).errors == []
    assert records(database, "track_mileage") == all_trips
    assert backfill_trips(fleet_known).calls == 0  # and it is not fetched again


def test_code_1006_is_retried_later_with_a_new_signature(
    fleet_known: Loader, sandbox: Sandbox, database: Database, work_dir: Path
) -> None:
    imei = next(iter(sandbox.world.devices))
    sandbox.misbehave(TRIPS, Fault.RATE_LIMITED, times=1)
    # Ten times the usual wait: longer than one second, so that the timestamp changes.
    patient = settings_for(sandbox, database, work_dir, tracksolid_backoff_seconds=0.11)
    Loader(patient, database).backfill(TO - timedelta(hours=4), TO, ["track_mileage"], [imei])
    first, second, _ = [r.params for r in sandbox.requests if r.method == TRIPS]
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"timestamp", "sign"}


def test_token_revoked_during_a_sweep_is_renewed_once(
    fleet_known: Loader, sandbox: Sandbox, database: Database
) -> None:
    fleet_known.poll(["fence_list"])  # logs in
    before = sum("oauth" in r.method for r in sandbox.requests)
    sandbox.misbehave("jimi.track.device.detail", Fault.TOKEN_EXPIRED, times=1, after=3)
    (summary,) = fleet_known.poll(["device_detail"])
    assert summary.errors == []
    assert len(records(database, "device_detail")) == 40
    assert sum("oauth" in r.method for r in sandbox.requests) == before + 1


@pytest.mark.parametrize("fault", sorted(POISON))
def test_raw_holds_the_bytes_that_were_sent(
    fleet_known: Loader, sandbox: Sandbox, database: Database, fault: Fault
) -> None:
    sent: list[Sent] = []
    sandbox.sent = lambda one: sent.append(one) if one.request.method == SWEEP else None
    sandbox.misbehave(SWEEP, fault, times=1)
    with structlog.testing.capture_logs() as logs:
        (summary,) = fleet_known.poll(["location_list"])
    assert summary.errors == []
    assert {one.fault for one in sent} == {fault, None}
    with database.connect() as connection:
        landed = [
            (json.loads(request)["target"], body.encode())
            for request, body in connection.execute("select request, body from raw.location_list")
        ]
        rejected = [
            (json.loads(request)["target"], base64.b64decode(body))
            for request, body in connection.execute("select request, body_base64 from raw.rejected")
        ]
    assert len(rejected) == (fault in (Fault.RAW_NUL, Fault.BAD_UTF8))
    assert len([line for line in logs if line["event"] == "rejected"]) == len(rejected)
    for one in sent:
        target = one.request.params["target"]
        bodies = [body for account, body in landed + rejected if account == target]
        assert bodies
        whole = one.body[one.body.index(b"[") + 1 : one.body.rindex(b"]")]
        # Each byte of the list except its commas is in exactly one row, and nothing else is.
        assert sum(map(len, bodies)) == len(whole) - (len(bodies) - 1)
        for body in bodies:
            assert body in whole


def test_reply_that_is_not_json_is_kept_whole(
    fleet_known: Loader, sandbox: Sandbox, database: Database
) -> None:
    sandbox.misbehave(SWEEP, Fault.HTML_PAGE, rate=1.0)
    (summary,) = fleet_known.poll(["location_list"])
    assert summary.errors
    with database.connect() as connection:
        rows = connection.execute("select source, body_base64 from raw.rejected").fetchall()
    assert {source for source, _ in rows} == {"location_list"}
    assert b"Bad Gateway" in base64.b64decode(rows[0][1])


def test_silent_socket_times_out_and_is_retried(
    sandbox: Sandbox,
    database: Database,
    work_dir: Path,
    all_trips: set,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = loader.poll.endpoints
    monkeypatch.setattr(
        loader.poll,
        "endpoints",
        lambda given: tuple(dataclasses.replace(e, timeout_s=1) for e in real(given)),
    )
    sandbox.misbehave(TRIPS, Fault.STALL, times=1, seconds=TIMEOUT_S)
    impatient = Loader(settings_for(sandbox, database, work_dir), database)
    assert backfill_trips(impatient).errors == []
    assert records(database, "track_mileage") == all_trips
    assert {c["message"] for c in calls(database, "code is null")} == {"no answer (ReadTimeout)"}


def test_fix_m13_parking_request_has_acc_type_and_account(
    fleet_known: Loader, sandbox: Sandbox, database: Database
) -> None:
    fleet_known.backfill(TO - timedelta(days=1), TO, ["parking_report"])
    asked = [r.params for r in sandbox.requests if r.method.endswith("report.parking")]
    assert {params["acc_type"] for params in asked} == {"0", "on"}
    assert all(params["account"] for params in asked)
    assert records(database, "parking_report")


def test_fix_m15_locate_requests_fifty_devices_at_a_time(
    fleet_known: Loader, sandbox: Sandbox
) -> None:
    summary = fleet_known.locate([f"86000000000{n:04d}" for n in range(120)])
    requests = [r for r in sandbox.requests if r.method == "jimi.device.location.get"]
    asked = [len(r.params["imeis"].split(",")) for r in requests]
    # The three calls run in parallel, so their order is not known.
    assert sorted(asked)[-2:] == [50, 50]
    assert 20 in asked
    assert len(summary.errors) == 120  # all are foreign; each one is named


def test_one_foreign_device_does_not_lose_the_others(
    fleet_known: Loader, sandbox: Sandbox, database: Database
) -> None:
    ours = sorted(imei for imei, device in sandbox.world.devices.items() if device.account)
    reporting = [imei for imei in ours if sandbox.world.last_fix(imei)]
    account = sandbox.world.devices[reporting[0]].account
    ours = [imei for imei in reporting if sandbox.world.devices[imei].account == account]
    summary = fleet_known.locate([*ours, "999999999999999"])
    located = {imei for imei, _ in records(database, "location_get")}
    assert located == set(ours)
    assert len(summary.errors) == 1
    assert "999999999999999" in summary.errors[0]


def test_missing_devices_are_named(
    fleet_known: Loader, sandbox: Sandbox, database: Database
) -> None:
    (summary,) = fleet_known.poll(["location_list"])
    world = sandbox.world
    silent = {i for i, d in world.devices.items() if not (world.last_fix(i) or d.is_expired)}
    assert summary.missing == silent
    noted = {i for c in calls(database, "missing is not null") for i in c["missing"].split(",")}
    assert noted == silent


def test_obd_is_polled_when_enabled(sandbox: Sandbox, database: Database, work_dir: Path) -> None:
    off = Loader(settings_for(sandbox, database, work_dir), database)
    assert "obd_list" not in {endpoint.name for endpoint in off.choose(())}
    on = Loader(settings_for(sandbox, database, work_dir, poll_obd=True), database)
    (summary,) = on.backfill(FROM, TO, ["obd_list"])
    assert summary.errors == []
    assert any(r.method == "jimi.device.obd.list" for r in sandbox.requests)


def test_all_threads_share_one_call_budget(
    sandbox: Sandbox, database: Database, work_dir: Path
) -> None:
    """The total duration of all calls follows the budget, whatever the number of threads.

    Only the total is checked: a busy machine may delay some calls, which then arrive together.
    """
    thrifty = settings_for(sandbox, database, work_dir, tracksolid_calls_per_second=20)
    Loader(thrifty, database).poll(["child_list", "device_list", "device_detail"])
    times = [r.at for r in sandbox.requests if r.method == "jimi.track.device.detail"]
    assert len(times) >= 40
    assert max(times) - min(times) >= 0.8 * (len(times) - 1) / 20


def test_rest_of_the_envelope_is_kept(fleet_known: Loader, database: Database) -> None:
    backfill_trips(fleet_known)
    envelopes = [json.loads(c["envelope"]) for c in calls(database, "endpoint='track_mileage'")]
    assert all(envelope["result"] in ([], None) for envelope in envelopes)
    assert any(envelope["data"] and "totalMileage" in envelope["data"][0] for envelope in envelopes)


def test_no_secret_reaches_a_row_a_log_or_an_error(
    sandbox: Sandbox, database: Database, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader.token, "LOGIN_GAP", timedelta())
    wrong = settings_for(sandbox, database, work_dir, tracksolid_password_md5="0" * 31 + "f")
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(
            LoginRefused, match=r"check TRACKSOLID_ACCOUNT, _PASSWORD_MD5"
        ) as refused:
            Loader(wrong, database).poll(["child_list"])
        reported = [[str(refused.value)]]
        sandbox.misbehave("*", Fault.TOKEN_EXPIRED, rate=0.2)
        sandbox.misbehave("*", Fault.RESET, rate=0.2)
        right = Loader(settings_for(sandbox, database, work_dir), database)
        reported += [summary.errors for summary in right.poll()]
    with database.connect() as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'raw'"
        ).fetchall()
        rows = "".join(
            str(connection.execute(f"select * from raw.{table}".encode()).fetchall())
            for (table,) in tables
        )
    secrets = {"0" * 31 + "f", sandbox.app_secret, sandbox.password_md5}
    secrets |= {
        r.params[n] for r in sandbox.requests for n in ("sign", "access_token") if n in r.params
    }
    assert len(secrets) > 10
    for secret in secrets:
        assert secret not in str(logs) + str(reported) + rows


def test_poll_requests_only_new_windows(
    world, new_database: Callable[[], Database], work_dir: Path
) -> None:
    """A second poll starts where the first one ended, minus the look-back."""
    from sandbox import fleet

    database = new_database()
    with Sandbox(fleet(seed=3, days=2, devices=10)) as live:
        loader = Loader(settings_for(live, database, work_dir), database)
        loader.poll()
        loader.poll(["track_mileage"])
        windows = {
            (r.params["begin_time"], r.params["end_time"])
            for r in live.requests
            if r.method == TRIPS
        }
    first, second = sorted(windows)[0], sorted(windows)[-1]
    assert first[1] <= second[1]
    assert datetime.fromisoformat(second[0]) == datetime.fromisoformat(first[1]) - timedelta(
        hours=6
    )


class WatchedLock:
    """A lock that knows which threads have asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked: set[threading.Thread] = set()

    def __enter__(self) -> None:
        self.asked.add(threading.current_thread())
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_sweep_waits_for_at_most_two_loads(
    database: Database, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing(database, work_dir)
    landing.prepare()
    landed = []

    def land(table: str) -> None:
        batch = Batch()
        batch.add_record(table, Origin("call", "{}", TO), 0, b'{"imei": "1"}', None)
        landing.land(batch)
        landed.append(table)

    trips = [threading.Thread(target=land, args=["track_mileage"]) for _ in range(5)]
    sweep = threading.Thread(target=land, args=["location_list"])
    queue, turn = WatchedLock(), WatchedLock()
    monkeypatch.setattr("loader.landing._queue", queue)
    monkeypatch.setattr("loader.landing._thread_turn", turn)
    with landing._turn():  # the load under way
        for thread in trips:
            thread.start()
        eventually(lambda: queue.asked.issuperset(trips), "all trips to wait before the sweep does")
        sweep.start()
        eventually(lambda: sweep in turn.asked, "the sweep to wait")
    for thread in (*trips, sweep):
        thread.join()
    assert len(landed) == 6
    assert "location_list" in landed[:2]


def test_database_without_free_connections_is_a_landing_error(
    database: Database, work_dir: Path
) -> None:
    """The service treats this error as an outage and retries."""
    landing = Landing(database, work_dir)
    with database.sibling("postgres").connect() as server:
        server.execute(f"alter database {database.name} allow_connections false".encode())
    with pytest.raises(LandingError, match="not currently accepting connections"):
        landing.prepare()
