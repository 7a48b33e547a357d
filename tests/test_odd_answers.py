"""The loader over HTTP against an API that answers otherwise than asked, without any error.

FIX-N06 short pages, FIX-N07 no paging, FIX-N14 a foreign device, FIX-N15 odd spellings.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fleets
import pytest
from conftest import NOW, settings_for
from databases import Databases

from loader.poll import Loader
from operations.service.jobs import JobActions, JobFailed
from sandbox import Fault, Fleet, Sandbox
from warehouse.database import Database

METHODS = {
    "track_mileage": "jimi.device.track.mileage",  # no number of rows in its answer
    "alarm_list": "jimi.device.alarm.list",  # neither, and it numbers its pages
    "parking_report": "jimi.open.platform.report.parking",  # with a total
    "obd_list": "jimi.device.obd.list",  # with a total, and it numbers its pages
}
TO = datetime.fromtimestamp(NOW, UTC)
FROM = TO - timedelta(days=3)


@pytest.fixture
def database(databases: Databases, world: Fleet) -> Database:
    return fleets.registered(databases, world)


@pytest.fixture
def loader(sandbox: Sandbox, database: Database, work_dir: Path) -> Loader:
    return Loader(settings_for(sandbox, database, work_dir, poll_obd=True), database)


def bodies(database: Database, table: str) -> set[str]:
    with database.connect() as connection:
        return {body for (body,) in connection.execute(f"select body from raw.{table}".encode())}


@pytest.fixture(scope="module")
def all_bodies(
    world: Fleet, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    """What an API that pages as it should returns, by table."""
    database = fleets.registered(databases, world)
    with Sandbox(world, login_interval_seconds=0) as quiet:
        work_dir = tmp_path_factory.mktemp("quiet")
        loader = Loader(settings_for(quiet, database, work_dir, poll_obd=True), database)
        assert not [fault for summary in backfill(loader) for fault in summary.errors]
    found = {table: bodies(database, table) for table in METHODS}
    assert all(len(rows) > 120 for rows in found.values())
    return found


def backfill(loader: Loader, *tables: str) -> list:
    return loader.backfill(FROM, TO, tables or METHODS)


@pytest.mark.parametrize(
    ("table", "rate"),
    # Without a total and with numbered pages, a page that is short by chance cannot be seen.
    [*((table, 1.0) for table in METHODS), ("track_mileage", 0.5), ("parking_report", 0.5)],
)
def test_fix_n06_pages_shorter_than_asked_lose_no_row(
    loader: Loader, sandbox: Sandbox, database: Database, all_bodies: dict, table: str, rate: float
) -> None:
    sandbox.misbehave(METHODS[table], Fault.SHORT_PAGE, rate=rate)
    assert [fault for summary in backfill(loader, table) for fault in summary.errors] == []
    assert bodies(database, table) == all_bodies[table]
    assert [summary.calls for summary in backfill(loader, table)] in ([0], [0, 0])


# Not obd_list: the stand-in sends every tenth reading of a window, so half a window has others.
@pytest.mark.parametrize("table", ["track_mileage", "alarm_list", "parking_report"])
@pytest.mark.parametrize("cap", [100, 50])
def test_fix_n07_method_without_paging_is_asked_in_halves(
    loader: Loader,
    sandbox: Sandbox,
    database: Database,
    all_bodies: dict,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    cap: int,
) -> None:
    monkeypatch.setitem(sandbox_first_page(), "page_size", str(cap))
    sandbox.misbehave(METHODS[table], Fault.REPEATED_PAGE, rate=1.0)
    assert [fault for summary in backfill(loader, table) for fault in summary.errors] == []
    assert bodies(database, table) == all_bodies[table]
    assert [summary.calls for summary in backfill(loader, table)] in ([0], [0, 0])


def sandbox_first_page() -> dict[str, str]:
    from sandbox import conduct

    return conduct._FIRST_PAGE


def test_total_that_no_page_reaches_is_an_error_and_the_window_stays_open(
    loader: Loader, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.history_methods._stops", lambda *_: [])
    monkeypatch.setattr(
        "sandbox.history_methods.in_object",
        lambda place, key, rows, _: in_object(place, key, rows, {"dataTotalRows": "7"}),
    )
    from sandbox.reply import in_object

    (summary, _) = loader.backfill(TO - timedelta(hours=1), TO, ["parking_report"])
    assert len(summary.errors) == summary.questions
    assert "the total says that there are more rows" in summary.errors[0]
    assert backfill(loader, "parking_report")[0].calls > 0


def test_fix_n14_foreign_device_is_a_note_of_the_job(
    sandbox: Sandbox, database: Database, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = JobActions(settings_for(sandbox, database, work_dir), database, lambda: None)
    foreign = min(sandbox.world.devices)
    sandbox.misbehave("*", Fault.FOREIGN_DEVICE, rate=1.0)
    # One question about all devices of an account: it is all that is asked.
    ours = {i: d.account for i, d in sandbox.world.devices.items() if d.account == sandbox.account}
    monkeypatch.setattr(jobs._loader, "_devices", lambda: ours)
    for hours in (6, 2):  # the second time, the foreign device has a longer window than the others
        monkeypatch.setattr("loader.poll._now", lambda ago=hours: TO - timedelta(hours=ago))
        done = jobs.poll(["track_mileage"])
        assert done.rows > 0
        assert done.note
        assert foreign in done.note
        assert "1002" in done.note
    assert foreign not in {json.loads(body)["imei"] for body in bodies(database, "track_mileage")}
    # If no other device is known, nothing was answered.
    monkeypatch.setattr("loader.poll._now", lambda: TO)
    monkeypatch.setattr(jobs._loader, "_devices", lambda: {foreign: sandbox.account})
    with pytest.raises(JobFailed, match=foreign):
        jobs.poll(["track_mileage"])


def test_fix_n15_escaped_account_is_asked_for_decoded(
    sandbox: Sandbox, new_database: Callable[[], Database], work_dir: Path
) -> None:
    database = new_database()
    sandbox.misbehave("jimi.user.child.list", Fault.ESCAPED, rate=1.0)
    loader = Loader(settings_for(sandbox, database, work_dir), database)
    assert [summary.errors for summary in loader.poll(["child_list", "device_list"])] == [[], []]
    assert any('"account":"\\u0073' in body for body in bodies(database, "child_list"))
    asked = {r.params["target"] for r in sandbox.requests if r.method == "jimi.user.device.list"}
    assert asked == {account.account for account in sandbox.world.accounts}


def test_fix_n15_number_is_an_id(loader: Loader, sandbox: Sandbox, database: Database) -> None:
    sandbox.misbehave("jimi.open.platform.fence.list", Fault.NUMERIC_ID, rate=1.0)
    summaries = loader.poll(["fence_list", "fence_detail"])
    assert [summary.errors for summary in summaries] == [[], []]
    assert len(bodies(database, "fence_detail")) == len(sandbox.world.fences)
    asked = {r.params.get("fence_id") for r in sandbox.requests} - {None}
    assert asked == {fence.fence_id.lstrip("0") for fence in sandbox.world.fences}


def test_fix_n15_null_imei_leaves_the_other_key(
    loader: Loader, sandbox: Sandbox, database: Database
) -> None:
    sandbox.misbehave("jimi.user.device.location.list", Fault.NULL_IMEI, rate=1.0)
    (summary,) = loader.poll(["location_list"])
    world = sandbox.world
    located = {i for i, d in world.devices.items() if world.last_fix(i) or d.is_expired}
    with database.connect() as connection:
        rows = connection.execute("select imei, body from raw.location_list").fetchall()
    assert {imei for imei, _ in rows} == located
    assert all('"imei":null' in body for _, body in rows)
    assert summary.missing == set(world.devices) - located


def test_fix_n15_empty_text_is_an_answer_without_records(
    loader: Loader, sandbox: Sandbox, database: Database
) -> None:
    sandbox.misbehave("*", Fault.EMPTY_TEXT, rate=1.0)
    day = TO - timedelta(days=500)  # before the first record
    found = loader.backfill(day, day + timedelta(hours=1), ["track_mileage", "alarm_list"])
    assert [(summary.errors, summary.records) for summary in found] == [([], 0)] * 2
    assert all(summary.calls for summary in found)
    with database.connect() as connection:
        assert connection.execute("select count(*) from raw.rejected").fetchone() == (0,)
        envelopes = connection.execute(
            "select envelope from raw.api_calls where window_end is not null"
        ).fetchall()
    assert all('"result":""' in str(envelope) for (envelope,) in envelopes)
