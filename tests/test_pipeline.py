"""End to end: gold equals what really happened, for a generated fleet and for recorded taxis."""

import csv
import gzip
import math
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import fleets
import psycopg
import pytest
from conftest import NOW
from databases import Databases, build_untested
from fleets import build, load

from sandbox import Fault, Traces, World, fleet
from sandbox.faults import ON_CALLS, POISON
from sandbox.instants import plain

EAT = timedelta(hours=3)


def rows(connection: psycopg.Connection, statement: str) -> dict[tuple, tuple]:
    """Keyed by the first two columns."""
    return {row[:2]: row[2:] for row in connection.execute(statement.encode())}


def days(world: World) -> list[date]:
    first, last = (
        (datetime.fromtimestamp(t, UTC) + EAT).date() for t in (world.first, world.now())
    )
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def assert_truth(
    world: World, gold: psycopg.Connection, *, with_alarms: bool = True, at_least: int = 250
) -> None:
    """Tolerances: the API rounds each trip's metres to half a metre, and gold to metres; seconds
    and counts are exact. The first day is left out: it begins before what the API serves."""
    found = rows(
        gold,
        "select imei, day, trips_count, distance_km, driving_time_s, idle_time_s, parked_time_s,"
        " max_speed_kmh, alarms_count from dwh_gold.fact_daily_fleet_metrics",
    )
    compared = 0
    for imei in world.devices:
        for day in days(world)[1:]:
            truth = world.truth(imei, day)
            row = found.get((imei, day))
            if truth is None:
                # Never reported, or expired: unknown, which differs from no activity.
                assert row is None or set(row) == {None}, (imei, day, row)
                continue
            assert row is not None, (imei, day)
            trips, distance_km, driving_s, idling_s, parked_s, max_speed, alarms = row
            if row[0] is None:
                assert not truth.trips
                assert not truth.stops
                continue
            compared += 1
            assert trips == len(truth.trips), (imei, day)
            assert abs(float(distance_km) * 1000 - truth.distance_m) <= 1 + 0.5 * trips, (imei, day)
            assert driving_s == truth.driving_s, (imei, day)
            assert idling_s == truth.idling_s, (imei, day)
            assert parked_s == truth.parked_s, (imei, day)
            assert not with_alarms or alarms == truth.alarms_count, (imei, day)
            assert abs(float(max_speed or 0) - truth.max_speed_kmh) <= 0.1, (imei, day)
    assert compared > at_least


def test_gold_equals_truth(fleet_world: World, gold: psycopg.Connection) -> None:
    """A trip, fix or alarm counts once, whether poll or push arrived first (FIX-E06)."""
    assert_truth(fleet_world, gold)


def test_pushed_readings_are_in_staging(gold: psycopg.Connection) -> None:
    for table in ("heartbeats", "fuel_readings", "temperature_readings", "lbs_readings"):
        row = gold.execute(f"select count(*) from tracksolid.{table}".encode()).fetchone()
        assert row is not None
        assert row[0] > 1000, table


def test_gold_equals_truth_without_pushes(databases: Databases, work_dir: Path) -> None:
    """Also of the hours that land after a build."""
    built = fleets.polled(databases, work_dir)
    build_untested(built.database, built.settings.work_dir)
    with built.database.connect() as connection:
        assert_truth(fleets.polled_world(), connection, at_least=200)


# A small fleet makes too few calls to meet every fault, so there is no short form.
@pytest.mark.long
def test_gold_equals_truth_after_api_faults(new_database, tmp_path: Path) -> None:
    """Every fault of a call, order and pages wrong, and every poison in alarms, trail and sweep:
    nothing is lost or counted twice, and unreadable records are in rejected_records."""
    database = new_database()
    world = fleet(seed=11, days=6, devices=82, now=NOW)
    storm = [("*", fault) for fault in sorted(ON_CALLS)]
    storm += [("jimi.device.track.mileage", Fault.SHUFFLED)]
    storm += [
        (method, fault)
        for fault in sorted(POISON)
        for method in ("jimi.device.alarm.list", "jimi.device.track.list")
    ]
    load(world, database, tmp_path, storm)
    build(database, tmp_path)
    with database.connect() as connection:
        assert_truth(world, connection, with_alarms=False)
        rejected = connection.execute(
            "select source, count(*), count(*) filter (where is_kept)"
            " from tracksolid.rejected_records group by 1"
        ).fetchall()
        sources = {source for source, *_ in rejected}
        assert {"alarm_list", "track_list"} <= sources <= {"alarm_list", "track_list"}
        served = sum(
            world.truth(imei, day).alarms_count
            for imei in world.devices
            for day in days(world)
            if world.truth(imei, day)
        )
        row = connection.execute("select count(*) from tracksolid.alarms").fetchone()
        assert row is not None
        lost = sum(count - kept for source, count, kept in rejected if source == "alarm_list")
        # A poisoned alarm is asked for once: each one less has its row among the rejected.
        assert served - lost <= row[0] <= served


def test_every_active_device_has_a_row_for_every_day(
    fleet_world: World, gold: psycopg.Connection
) -> None:
    counts = gold.execute(
        "select count(*), count(distinct imei), count(distinct day),"
        " count(distinct imei) filter (where trips_count is null)"
        " from dwh_gold.fact_daily_fleet_metrics"
    ).fetchone()
    assert counts is not None
    total, devices, covered, unknown = counts
    assert covered >= len(days(fleet_world))
    assert total == devices * covered
    assert unknown  # the never reported among them: a row, but nothing in it


def test_two_devices_on_one_vehicle_count_as_one(
    fleet_world: World, gold: psycopg.Connection
) -> None:
    doubled = gold.execute(
        "select vehicle_id, count(*), count(*) filter (where is_primary_device)"
        " from dwh_gold.dim_vehicles group by 1 having count(*) > 1"
    ).fetchall()
    assert [counts for _, *counts in doubled] == [[2, 1], [2, 1]]
    row = gold.execute(
        "select (select sum(distance_km) from dwh_gold.kpi_fleet_utilisation_daily"
        " where scope = 'fleet'),"
        " (select sum(distance_km) from dwh_gold.fact_daily_fleet_metrics"
        " where is_primary_device)"
    ).fetchone()
    assert row is not None
    assert abs(row[0] - row[1]) < 1


def test_trail_distance_agrees_with_trip_distance(gold: psycopg.Connection) -> None:
    """Great-circle length of the fixes inside trips; a unit bug would be a factor of 1000."""
    row = gold.execute(TRAIL_KM.encode()).fetchone()
    assert row is not None
    trips_km, trail_km = row
    assert trips_km > 1000
    assert abs(trail_km / float(trips_km) - 1) < 0.03


TRAIL_KM = """
    with steps as (
        select
            trip.imei,
            trip.start_time,
            fix.latitude,
            fix.longitude,
            lag(fix.latitude) over trail as latitude_before,
            lag(fix.longitude) over trail as longitude_before
        from tracksolid.trips as trip
        inner join tracksolid.position_history as fix
            on fix.imei = trip.imei and fix.gps_time between trip.start_time and trip.end_time
        window trail as (partition by trip.imei, trip.start_time order by fix.gps_time)
    )

    select
        (select sum(distance_km) from tracksolid.trips),
        sum(
            2 * 6371.0088 * asin(sqrt(
                sin(radians(latitude - latitude_before) / 2) ^ 2
                + cos(radians(latitude)) * cos(radians(latitude_before))
                * sin(radians(longitude - longitude_before) / 2) ^ 2
            ))
        )
    from steps
"""


@pytest.mark.parametrize(
    ("devices", "days_known"), [(10, 3), pytest.param(24, 7, marks=pytest.mark.long)]
)
def test_recorded_distance_per_day_is_within_2_percent(
    new_database, tmp_path: Path, devices: int, days_known: int
) -> None:
    database = new_database()
    file = record(
        fleet(seed=9, days=days_known, devices=devices, now=NOW), tmp_path / "recording.csv.gz"
    )
    recording = Traces(file)
    load(recording, database, tmp_path)
    build_untested(database, tmp_path)
    with database.connect() as connection:
        trips = connection.execute(
            "select imei, day, start_time, end_time from dwh_gold.fact_trips order by 1, 3"
        ).fetchall()
        gold = rows(
            connection,
            "select imei, day, distance_km from dwh_gold.fact_daily_fleet_metrics"
            " where distance_km > 0",
        )
        stored = connection.execute("select count(*) from tracksolid.position_history").fetchone()
    fixes = recorded(file)
    assert stored == (sum(map(len, fixes.values())),)
    expected_km: Counter[tuple[str, date]] = Counter()
    for imei, day, start, end in trips:
        expected_km[imei, day] += length_km([f for f in fixes[imei] if start <= f[0] <= end])
    assert len(gold) > devices * days_known // 3
    assert gold.keys() == {key for key, km in expected_km.items() if km > 0}
    for key, (distance_km,) in gold.items():
        assert abs(float(distance_km) - expected_km[key]) <= 0.02 * expected_km[key], key


Fix = tuple[datetime, float, float]


def record(world: World, file: Path) -> Path:
    """All fixes of a world, in the form in which recordings of real vehicles are kept.

    A receiver loses its place at times: every 700th fix lies half a degree away.
    """
    with gzip.open(file, "wt") as opened:
        writer = csv.writer(opened)
        writer.writerow(["imei", "gps_time", "lat", "lng"])
        for imei in world.devices:
            for number, fix in enumerate(world.fixes(imei, world.first, world.now())):
                astray = 0.5 if number % 700 == 350 else 0
                writer.writerow([imei, plain(fix.at), round(fix.lat + astray, 5), fix.lng])
    return file


def recorded(file: Path) -> dict[str, list[Fix]]:
    """The recorded file: fixes per vehicle in order of time."""
    found: dict[str, list[Fix]] = defaultdict(list)
    with gzip.open(file, "rt") as opened:
        for row in csv.DictReader(opened):
            at = datetime.fromisoformat(row["gps_time"]).replace(tzinfo=UTC)
            found[row["imei"]].append((at, float(row["lat"]), float(row["lng"])))
    return {imei: sorted(fixes) for imei, fixes in found.items()}


def length_km(fixes: list[Fix]) -> float:
    """Great-circle length, without fixes that no vehicle can have reached."""
    total = 0.0
    last = fixes[0] if fixes else None
    for fix in fixes[1:]:
        assert last is not None
        step_km = haversine_km(last, fix)
        hours = (fix[0] - last[0]).total_seconds() / 3600
        if hours > 0 and step_km / hours <= 160:
            total += step_km
            last = fix
    return total


def haversine_km(one: Fix, other: Fix) -> float:
    lat1, lng1, lat2, lng2 = map(math.radians, (*one[1:], *other[1:]))
    h = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    )
    return 2 * 6371.0088 * math.asin(min(1, math.sqrt(h)))
