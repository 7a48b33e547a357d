"""What the jobs do: failing polls, missing tables, sweeps and the live view."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import time_machine
from conftest import NOW, settings_for
from databases import Databases, build_untested
from fleets import land_new_fixes, one

from operations.service.jobs import JobActions, JobFailed, JobResult
from sandbox import Fault, Sandbox, fleet
from settings import Settings
from warehouse.database import Database

SWEEP = "jimi.user.device.location.list"
LIVE = ("+live_positions", "keep_newest_fixes")


def rows(database: Database, table: str) -> list[dict]:
    with database.connect() as connection:
        query = f"select to_jsonb(t) from tracksolid.{table} as t order by imei"
        return [row for (row,) in connection.execute(query.encode())]


@pytest.fixture
def database(databases: Databases, tmp_path: Path) -> Database:
    """All models are built, of no row."""
    return databases.built_empty(tmp_path).database


@pytest.fixture
def parked_fleet() -> Iterator[Sandbox]:
    """A stand-in whose devices do not move."""
    world = fleet(seed=3, days=1, devices=10, now=int(time.time()))
    with Sandbox(world, login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def settings(parked_fleet: Sandbox, database: Database, tmp_path: Path) -> Settings:
    return settings_for(parked_fleet, database, tmp_path, spool_path=tmp_path / "spool.sqlite")


def test_sweep_is_parsed_once_and_live_view_stays_the_same(
    parked_fleet: Sandbox, database: Database, settings: Settings
) -> None:
    """The view is the same before the sweep's fixes are kept, after that and after a build."""
    work = JobActions(settings, database, lambda: None)
    work.poll(["device_list", "location_list"])
    build_untested(database, settings.work_dir, "--select", *LIVE)
    parked = rows(database, "live_positions")
    work.poll(["location_list"])  # the same fixes again
    assert rows(database, "live_positions") == rows(database, "newest_fixes") == parked
    land_new_fixes(database)
    seen = rows(database, "live_positions")
    assert one(database, "select count(*) from tracksolid.newest_fixes") == len(seen)
    assert rows(database, "newest_fixes") != seen
    assert one(database, "select tracksolid.keep_newest_fixes()") > 0
    assert rows(database, "newest_fixes") == seen == rows(database, "live_positions")
    assert one(database, "select tracksolid.keep_newest_fixes()") == 0
    build_untested(database, settings.work_dir, "--select", *LIVE)
    assert rows(database, "newest_fixes") == seen == rows(database, "live_positions")
    work.poll(["location_list"])
    assert rows(database, "live_positions") == seen
    land_new_fixes(database)
    parked_fleet.misbehave(SWEEP, Fault.SYSTEM_BUSY, rate=1.0)
    with pytest.raises(JobFailed):  # landed fixes are kept although the sweep failed
        work.poll(["location_list"])
    parked_fleet.clear()
    assert rows(database, "newest_fixes") == rows(database, "live_positions") != seen


def test_renamed_database_works(database: Database, settings: Settings) -> None:
    """As a restored copy would be."""
    JobActions(settings, database, lambda: None).poll(["device_list", "location_list"])
    build_untested(
        database, settings.work_dir, "--select", "+vehicle_status_now", "nearest_vehicles"
    )
    copy = f"{database.name}_copy"
    server = database.sibling("postgres")
    with server.connect() as connection:
        connection.execute(f"alter database {database.name} rename to {copy}".encode())
        try:
            restored = server.sibling(copy, create=False)
            land_new_fixes(restored)
            assert JobActions(settings, restored, lambda: None).poll(["location_list"]).rows
            assert rows(restored, "newest_fixes") == rows(restored, "live_positions")
            near = "select count(*) from dwh_gold.nearest_vehicles(-1.29, 36.82, 3)"
            assert one(restored, near) == 3
        finally:
            connection.execute(f"alter database {copy} rename to {database.name}".encode())


def test_poll_without_answers_fails_with_its_reason(
    parked_fleet: Sandbox, database: Database, settings: Settings
) -> None:
    work = JobActions(settings, database, lambda: None)
    assert work.poll(["location_list"]).rows
    parked_fleet.misbehave(SWEEP, Fault.SYSTEM_BUSY, rate=1.0)
    with pytest.raises(JobFailed, match="System is busy"):
        work.poll(["location_list"])


def test_endpoint_without_answers_fails_the_poll(
    parked_fleet: Sandbox, database: Database, settings: Settings
) -> None:
    daily = ["device_list", "device_detail"]
    work = JobActions(settings, database, lambda: None)
    work.poll(daily)
    parked_fleet.misbehave("jimi.user.device.list", Fault.SYSTEM_BUSY, rate=1.0)
    with pytest.raises(JobFailed, match=r"jimi\.user\.device\.list .*System is busy"):
        work.poll(daily)


def test_table_recreated_by_a_running_load_is_reported_as_gone(
    database: Database, settings: Settings
) -> None:
    work = JobActions(settings, database, lambda: None)
    work.poll(["child_list", "device_list"])
    assert work.poll(["alarm_list"]).rows
    with database.connect() as connection:
        connection.execute("drop table raw.api_calls")
        connection.execute("drop index raw.alarm_list_dlt_load_id")  # as if dlt had made it
    with structlog.testing.capture_logs() as lines, pytest.raises(JobFailed, match="api_calls"):
        work.poll(["alarm_list"])
    (reported,) = [line for line in lines if "tables of raw are gone" in line["event"]]
    assert set(reported["tables"]) == {"raw.api_calls", "raw.alarm_list"}
    assert work.poll(["alarm_list"]).rows


def test_late_data_is_fetched_by_the_late_job(database: Database, tmp_path: Path) -> None:
    trips = "select count(distinct body) from raw.track_mileage"
    world = fleet(seed=3, days=2, devices=10, now=NOW)
    with (
        Sandbox(world, login_interval_seconds=0) as api,
        time_machine.travel(datetime.fromtimestamp(NOW, UTC), tick=False),
    ):
        work = JobActions(settings_for(api, database, tmp_path), database, lambda: None)
        work.poll(["track_mileage"])
        known = one(database, trips)
        # As if yesterday's trips had not been there at the first poll.
        with database.connect() as connection:
            connection.execute(
                "delete from raw.track_mileage where body::jsonb ->> 'startTime' < '2026-11-18'"
            )
        assert one(database, trips) < known
        work.poll(["track_mileage"])  # its look-back covers only hours
        assert one(database, trips) < known
        assert work.poll_again(["track_mileage"], timedelta(days=3)).rows
        assert one(database, trips) >= known


def test_unreadable_spool_fails_the_drain(database: Database, settings: Settings) -> None:
    settings.spool_path.touch()
    work = JobActions(settings, database, lambda: None)
    assert work.drain() == JobResult()  # the receiver is just creating the table
    settings.spool_path.unlink()
    settings.spool_path.mkdir()
    with pytest.raises(JobFailed, match=r"spool\.sqlite cannot be read"):
        work.drain()
