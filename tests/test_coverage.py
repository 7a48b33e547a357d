"""Which windows the loader requests, from what raw holds: gaps, look-back, outages, devices."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader import coverage, newest_answers
from loader.endpoints import endpoints
from loader.landing import Landing
from settings import Settings
from warehouse.database import Database

ENDPOINTS = {e.name: e for e in endpoints(Settings(_env_file=None))}
NOON = datetime(2026, 4, 12, 12, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.fixture(scope="module")
def landed(new_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory):
    database = new_database()
    Landing(database, tmp_path_factory.mktemp("work")).prepare()
    with database.connect() as connection:
        connection.execute("insert into raw._dlt_loads values ('done', 'x', 0, now(), 'h')")
        yield connection


@pytest.fixture
def raw(landed: psycopg.Connection) -> psycopg.Connection:
    landed.execute("truncate raw.api_calls, raw.location_list, raw.device_list, raw.child_list")
    return landed


def insert_call(
    raw: psycopg.Connection,
    imeis: str | None,
    window: tuple[datetime, datetime] | None = None,
    *,
    endpoint: str = "track_mileage",
    load: str = "done",
    request: str = "{}",
    at: datetime = NOON,
) -> None:
    raw.execute(
        "insert into raw.api_calls (endpoint, imeis, window_start, window_end, started_at, code,"
        " request, _dlt_load_id) values (%s, %s, %s, %s, %s, '0', %s, %s)",
        [endpoint, imeis, *(window or (None, None)), at, request, load],
    )


spans = st.lists(
    st.tuples(st.sampled_from(["1", "2", "1,2"]), st.integers(0, 60), st.integers(1, 30)),
    max_size=8,
)


@settings(suppress_health_check=list(HealthCheck))
@given(spans)
def test_gaps_are_the_windows_without_an_answer(raw: psycopg.Connection, windows: list) -> None:
    raw.execute("truncate raw.api_calls")
    start, end = NOON, NOON + minutes(60)
    covered: dict[str, set[int]] = {"1": set(), "2": set()}
    for imeis, offset, length in windows:
        window = (start + minutes(offset - 10), start + minutes(offset - 10 + length))
        insert_call(raw, imeis, window, at=end)
        for imei in imeis.split(","):
            covered[imei] |= set(range(offset - 10, offset - 10 + length))
    found = coverage.gaps(raw, ENDPOINTS["track_mileage"], ["1", "2"], start, end)
    for imei in ("1", "2"):
        missing = {
            minute
            for lower, upper in found.get(imei, [])
            for minute in range((lower - start) // minutes(1), (upper - start) // minutes(1))
        }
        assert missing == set(range(60)) - covered[imei]


def test_coverage_counts_only_complete_loads_of_the_same_endpoint(raw: psycopg.Connection) -> None:
    window = (NOON, NOON + minutes(60))
    insert_call(raw, "1", window, load="half done")
    insert_call(raw, "1", window, endpoint="alarm_list")
    insert_call(raw, "1", window, endpoint="parking_report:on")
    assert coverage.gaps(raw, ENDPOINTS["track_mileage"], ["1"], *window) == {"1": [window]}


def test_poll_covers_look_back_and_the_whole_outage(raw: psycopg.Connection) -> None:
    mileage = ENDPOINTS["track_mileage"]
    before = NOON - timedelta(hours=9)
    insert_call(raw, "1,2", (before - minutes(15), before), at=before)
    found = coverage.due(raw, mileage, ["1", "2"], NOON)
    assert found == {imei: [(before - mileage.look_back, NOON)] for imei in ("1", "2")}


def test_gap_left_by_an_error_is_fetched_again(raw: psycopg.Connection) -> None:
    hour = timedelta(hours=1)
    insert_call(raw, "1", (NOON - 5 * hour, NOON - 4 * hour))
    insert_call(raw, "1", (NOON - 2 * hour, NOON - 1 * hour))
    alarms = ENDPOINTS["alarm_list"]
    raw.execute("update raw.api_calls set endpoint = 'alarm_list'")
    assert coverage.due(raw, alarms, ["1"], NOON)["1"] == [
        (NOON - 4 * hour - alarms.look_back, NOON - 2 * hour),
        (NOON - 1 * hour - alarms.look_back, NOON),
    ]


def test_first_poll_of_a_device_starts_one_day_back(raw: psycopg.Connection) -> None:
    mileage = ENDPOINTS["track_mileage"]
    found = coverage.due(raw, mileage, ["9"], NOON)
    assert found == {"9": [(NOON - coverage.FIRST_LOOK - mileage.look_back, NOON)]}


def insert_position(
    raw: psycopg.Connection, imei: str, fetched_at: datetime, gps_time: str
) -> None:
    raw.execute(
        "insert into raw.location_list (imei, body, fetched_at, _dlt_load_id)"
        " values (%s, %s, %s, 'done')",
        [imei, f'{{"imei":"{imei}","gpsTime":{gps_time},"x":"\\ud800"}}', fetched_at],
    )


def test_fix_m14_trail_is_polled_for_all_devices_that_may_have_moved(
    raw: psycopg.Connection,
) -> None:
    trail = ENDPOINTS["track_list"]
    last = NOON - minutes(30)
    for imei in ("moving", "parked", "silent", "back again"):
        insert_call(raw, imei, (last - minutes(60), last), endpoint="track_list", at=last)
    insert_position(raw, "moving", NOON - minutes(1), '"2026-04-12 11:58:30"')
    insert_position(raw, "parked", NOON - minutes(1), '"2026-04-12 06:02:00"')
    insert_position(raw, "silent", NOON - minutes(1), "null")
    # This one drove without signal since before the last trail, so its window starts there.
    raw.execute("delete from raw.api_calls where imeis = 'back again'")
    away = NOON - timedelta(hours=3)
    insert_call(raw, "back again", (away - minutes(60), away), endpoint="track_list", at=away)
    insert_position(raw, "back again", NOON - minutes(1), '"2026-04-12 11:59:00"')
    found = coverage.due(raw, trail, ["moving", "parked", "silent", "back again"], NOON)
    assert found == {
        "moving": [(last - minutes(35), NOON)],
        "back again": [(away - minutes(35), NOON)],
    }


def insert_device_list(
    raw: psycopg.Connection, target: str, imeis: list[str], at: datetime, load: str
) -> None:
    request = f'{{"method": "jimi.user.device.list", "target": "{target}"}}'
    raw.execute("insert into raw._dlt_loads values (%s, 'x', 0, now(), 'h')", [load])
    insert_call(raw, None, endpoint="device_list", load=load, request=request, at=at)
    for imei in imeis:
        raw.execute(
            "insert into raw.device_list (imei, request, body, fetched_at, _dlt_load_id)"
            " values (%s, %s, '{}', %s, %s)",
            [imei, request, at, load],
        )


def test_fleet_is_the_newest_device_list_of_each_account(raw: psycopg.Connection) -> None:
    insert_device_list(raw, "root", ["1", "2"], NOON - timedelta(days=1), "old")
    insert_device_list(raw, "root", ["2"], NOON, "new")
    insert_device_list(raw, "sub", ["2", "3"], NOON, "sub")
    insert_device_list(raw, "sold", ["4"], NOON, "sold")
    insert_device_list(raw, "emptied", ["5"], NOON - timedelta(days=1), "before")
    insert_device_list(raw, "emptied", [], NOON, "after")
    found = newest_answers.devices(raw, ["root", "sub", "emptied"])
    assert found == {"2": "sub", "3": "sub"}


def test_account_tree_is_read_from_landed_child_lists(
    raw: psycopg.Connection, tmp_path: Path
) -> None:
    for parent, children in {"root": ["a", "b"], "a": ["c", "root"], "other": ["x"]}.items():
        request = f'{{"target": "{parent}"}}'
        insert_call(raw, None, endpoint="child_list", request=request)
        for child in children:
            raw.execute(
                "insert into raw.child_list (request, body, _dlt_load_id) values (%s, %s, 'done')",
                [request, f'{{"account": "{child}", "name": "x"}}'],
            )
    assert sorted(newest_answers.accounts(raw, "root")) == ["a", "b", "c", "root"]
