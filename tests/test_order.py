"""The same deliveries in any order, split or repetition give the same tables.

In each example many devices get the same deliveries, each device in its own order: spread over
loads at random, some late, some twice. dbt runs after every load. At the end all devices must have
the same rows, and a full refresh must change nothing.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from databases import RUN_TABLES, Built, Databases
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

DEVICES = 30
HISTORY, DAILY = "tracksolid.position_history", "dwh_gold.fact_daily_fleet_metrics"
FAR_AWAY = {"09:05", "09:08", "09:09"}
NOON = datetime(2026, 4, 12, 9, tzinfo=UTC)


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def trip(at: int, distance: int, seconds: int, fetched: int) -> tuple[str, int, dict]:
    """A copy of a trip; the API returns a running trip repeatedly, with new values."""
    start = minutes(at).strftime("%Y-%m-%d %H:%M:%S")
    body = {"startTime": start, "runTimeSecond": seconds, "distance": distance, "maxSpeed": 60}
    return "track_mileage", fetched, body


def drive(
    start: float, end: float, fetched: int, table: str = "track_mileage", **more: object
) -> tuple[str, int, dict]:
    """A report of a whole trip; a later one may begin or end elsewhere."""
    first, last = (f"{minutes(at):%Y-%m-%d %H:%M:%S}" for at in (start, end))
    return table, fetched, {"startTime": first, "endTime": last, "distance": 500} | more


def fix(table: str, at: int, speed: float, fetched: int, **more: object) -> tuple[str, int, dict]:
    speed_name = "gpsSpeed" if table == "track_list" else "speed"
    gps_time = minutes(at).strftime("%Y-%m-%d %H:%M:%S")
    body = {"gpsTime": gps_time, "lat": -1.2 - at / 1e4, "lng": 36.8, speed_name: speed}
    return table, fetched, body | more


def stop(at: float, seconds: int, acc: str, fetched: int) -> tuple[str, int, dict]:
    start = minutes(at).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    end = minutes(at + seconds / 60).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    body = {"startTime": start, "endTime": end, "durSecond": str(seconds), "acc": acc}
    return "parking_report", fetched, body


def alarm(at: float, kind: str, fetched: int, **more: object) -> tuple[str, int, dict]:
    return "alarm_list", fetched, {"alertTypeId": kind, "alertTime": second(at)} | more


def second(at: float) -> str:
    return minutes(at).strftime("%Y-%m-%d %H:%M:%S")


# (table, minute of fetching, body).
# fmt: off
DELIVERIES = [
    ("device_list", 0, {"deviceName": "van {imei}", "driverName": None, "sim": "1"}),
    ("device_list", 10, {"deviceName": "van {imei}", "driverName": "Otieno", "vehicleNumber": ""}),
    ("device_list", 20, {"deviceName": "bus {imei}", "vehicleNumber": "{imei}"}),
    ("device_list", 30, {"deviceName": "bus {imei}", "driverName": "Achieng", "sim": ""}),
    ("device_detail", 15, {"deviceName": "van {imei}", "fuel_100km": "9", "iccid": "89{imei}"}),
    ("device_detail", 25, {"deviceName": "bus {imei}", "fuel_100km": "11.5", "iccid": None}),
    trip(0, 1000, 60, 1),
    trip(0, 5000, 600, 15),
    trip(0, 12345, 1500, 30),
    trip(0, 12345, 1500, 45),
    trip(60, 800, 120, 75),
    trip(1430, 9000, 900, 1450),  # over midnight in Nairobi
    trip(1430, 15000, 1500, 1470),
    fix("location_list", 1, 30, 1, currentMileage="100.5", accStatus="1"),
    fix("location_list", 1, 30, 2, currentMileage="100.5", accStatus="1"),
    fix("track_list", 1, 31, 30, accStatus="ON"),
    fix("track_list", 2, 33, 30, accStatus="ON"),
    fix("track_list", 2, 34, 65, accStatus="ON"),
    fix("location_get", 2, 35, 3, currentMileage="101", accStatus="1"),
    fix("track_list", 1440, 50, 1470, accStatus="ON"),
    fix("track_list", 17300, 20, 17310, accStatus="ON"),  # after a silence of eleven days
    fix("track_list", 3, "fast", 30),  # only the bad field is lost
    # A clock that runs ahead, another GPS epoch, a cell tower, and places far away: the fixes
    # around them say that they are wrong as soon as enough of these have arrived.
    fix("location_list", 200, 30, 10),
    fix("track_list", 4 - 7168 * 1440, 30, 30, lat=-1.2),
    fix("track_list", 4, 0, 30, posType=2, lat=-1.25),
    fix("track_list", 5, 40, 30, lat=52),
    fix("location_get", 8, 40, 9, lat=52),
    fix("track_list", 9, 40, 30, lat=52),
    fix("location_list", 6, 30, 6, currentMileage="999999"),  # a wild odometer
    fix("location_list", 20, 30, 21, currentMileage="5"),  # and one that was reset
    fix("location_list", 90, 30, 91, currentMileage="25"),
    ("track_list", 30, {"gpsTime": "2026-13-45 99:99:99", "lat": 1, "lng": 1}),
    stop(30, 300, "off", 45),
    stop(30, 1800, "off", 75),
    stop(70, 240, "on", 80),
    stop(1380, 7200, "off", 1600),
    # Reported again: with another start, also by a push.
    drive(200, 240, 245),
    drive(200.15, 240, 260),
    drive(200.5, 240, 265, "push_tripreport"),
    stop(210, 600, "off", 225),
    stop(210.3, 582, "off", 240),
    stop(215, 600, "on", 240),  # of another kind
    # Merged, split.
    drive(300, 320, 325),
    drive(325, 340, 345),
    drive(299.8, 340, 360),
    drive(400, 440, 445),
    drive(400.2, 420, 460),
    drive(425, 440, 460),
    # The second is no longer overlapped when the first becomes shorter.
    drive(500, 540, 545),
    drive(525, 542, 543),
    drive(500, 520, 560),
    # A running trip, first without a length; a trip that ends before it starts.
    drive(600, 600, 601),
    drive(600, 610, 615),
    drive(600.1, 640, 645),
    drive(660, 660, 661),
    drive(660.15, 665, 670),
    drive(700, 690, 705),
    drive(800, 840, 845, distance=None, startMileage=13000, endMileage=25000),
    # Longer than a day, with stops inside.
    drive(2000, 3700, 3710),
    stop(2500, 3600, "off", 2600),
    stop(3600, 600, "on", 3620),
    # Stops of a kind that overlap, and one that lasts for days.
    stop(5000, 12000, "off", 5300),
    stop(5100, 12000, "off", 5310),
    stop(6000, 300000, "off", 11100),
    stop(8000, 300, "off", 8100),
    alarm(5, "48", 6, alarmTypeName="Sudden Deceleration Alert", speed="46"),
    alarm(5, "48", 11, alertTypeName="Sudden Deceleration Alert", speed="46"),
    alarm(7, "overSpeed", 11, alarmTypeName="Overspeed", speed="97"),
    # The same alarm as pushes: newer, with fewer fields, and landed before or after the poll.
    ("push_alarm", 12, {"alertType": "48", "alarmTime": second(5)}),
    ("push_openapi", 12, {"alarmType": "48", "alarmTime": second(5.05)}),
    ("push_alarm", 13, {"alertType": "48", "gateTime": second(5.1)}),
    # Another one soon after it, and one whose times lie on both sides of midnight in Nairobi.
    alarm(5.5, "48", 11),
    alarm(720, "48", 730),
    ("push_alarm", 721, {"alertType": "48", "gateTime": second(719.95)}),
    # A plate that is none, the same in all devices.
    ("device_list", 40, {"vehicleNumber": "N/A"}),
    # The lists of the next days do not name the device; then it is back.
    ("device_list", 7200, {"vehicleNumber": "N/A"}),
]
# fmt: on


def deliver(connection: psycopg.Connection, load: int, arrivals: list[tuple[str, int]]) -> None:
    """Insert one complete load with these (imei, delivery number)."""
    load_id = f"{1_800_000_000 + load}.5"
    for imei, number in arrivals:
        table, fetched, body = DELIVERIES[number]
        text = json.dumps({"imei": imei} | body).replace("{imei}", imei)
        connection.execute(
            f"insert into raw.{table} (body, imei, request, fetched_at, record_id, _dlt_load_id)"
            " values (%s, %s, '{}', %s, %s, %s)".encode(),
            [text, imei, minutes(fetched), f"{number:04}-{imei}", load_id],
        )
    # Twice, as after a loader was killed just after it recorded the load.
    for _ in range(2):
        connection.execute("insert into raw._dlt_loads values (%s, 'x', 0, now(), 'h')", [load_id])


def insert_call_windows(connection: psycopg.Connection) -> None:
    """Record an API call whose window covers two days, so that dim_dates has them.

    Also record a list of devices on each of seven days.
    """
    connection.execute(
        "insert into raw.api_calls (call_id, endpoint, method, account, request, imeis,"
        " window_start, window_end, started_at, duration_ms, code, records, attempt, _dlt_load_id)"
        " values ('c', 'track_mileage', 'jimi.device.track.mileage', 'a', '{}', 'x',"
        " %s, %s, %s, 1, '0', 0, 1, 'asked')",
        [minutes(0), minutes(1500), minutes(1500)],
    )
    for day in range(7):
        connection.execute(
            "insert into raw.api_calls (call_id, endpoint, method, account, request,"
            " started_at, duration_ms, code, records, attempt, _dlt_load_id)"
            " values (%s, 'device_list', 'jimi.user.device.list', 'a', '{}', %s, 1, '0', 30, 1,"
            " 'asked')",
            [f"list {day}", minutes(1440 * day)],
        )
    connection.execute("insert into raw._dlt_loads values ('asked', 'x', 0, now(), 'h')")


def contents(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Every table that dbt built, each row as JSON text."""
    tables = connection.execute(
        "select schemaname || '.' || tablename from pg_tables"
        " where schemaname in ('tracksolid', 'dwh_gold')"
        " and tablename not in ('builds', 'offered_loads', 'claims', 'changed_days')"
        " and tablename not in ('changed_spans', 'first_times', 'api_token_cache')"
        " and tablename not in ('dbt_run_history', 'job_runs', 'spool_status')"
        " and tablename not like 'schema_migrations%' order by 1"
    ).fetchall()
    return {
        table: sorted(
            row
            for (row,) in connection.execute(f"select to_jsonb(t)::text from {table} t".encode())
        )
        for (table,) in tables
    }


def of_device(rows: list[str], imei: str) -> list[str]:
    """The rows of one device, without its imei and without load ids."""
    own = [json.loads(row) for row in rows if f'"{imei}"' in row]
    for row in own:
        for name in (
            "load_id",
            "vehicle_version",
        ):  # vehicle_version is a hash that includes the imei
            row.pop(name, None)
    return sorted(json.dumps(row, sort_keys=True).replace(imei, "imei") for row in own)


@pytest.mark.parametrize("examples", [1, pytest.param(2, marks=pytest.mark.long)])
def test_any_order_of_arrival_gives_the_same_tables(
    databases: Databases, work_dir: Path, examples: int
) -> None:
    @settings(
        max_examples=examples,
        phases=[Phase.generate],  # to shrink an example is to build it again and again
    )
    @given(seed=st.integers(0, 2**32), loads=st.integers(2, 3))
    def holds(seed: int, loads: int) -> None:
        built = databases.built_empty(work_dir)
        with dbt_runner.in_one_process(built.settings, built.database):
            assert_order_is_irrelevant(built.settings, built.database, seed, loads)

    holds()


def assert_order_is_irrelevant(
    project: Settings, database: Database, seed: int, loads: int
) -> None:
    chance = random.Random(seed)
    imeis = [f"8600000000{n:05}" for n in range(DEVICES)]
    quiet = f"8600000000{DEVICES:05}"
    arrivals: list[list[tuple[str, int]]] = [[] for _ in range(loads)]
    for imei in imeis:
        for number in range(len(DELIVERIES)):
            times = 1 + (chance.random() < 0.2)
            for load in chance.sample(range(loads), min(times, loads)):
                arrivals[load].append((imei, number))

    with database.connect() as connection:
        # A first build may come before any window of trips is complete.
        windows_known_before = chance.randrange(loads)
        deliver(connection, loads, [(quiet, 0)])
        # In random order: a package settled late has an old id.
        for turn, load in enumerate(chance.sample(range(loads), loads)):
            if turn == windows_known_before:
                insert_call_windows(connection)
            chance.shuffle(arrivals[load])
            deliver(connection, load, arrivals[load])
            dbt_runner.run(project, database, RUN_TABLES, lambda *_: None)
        incremental = contents(connection)

        for table, rows in incremental.items():
            alike = {json.dumps(of_device(rows, imei)) for imei in imeis}
            assert len(alike) == 1, (table, seed, loads)
        assert len(of_device(incremental["tracksolid.trips"], imeis[0])) == 14
        assert len(of_device(incremental["dwh_gold.fact_trips"], imeis[0])) == 14
        assert_states_are_contiguous(incremental["dwh_gold.vehicle_states"])
        fixes = [json.loads(row) for row in of_device(incremental[HISTORY], imeis[0])]
        assert len(fixes) == 12
        refused = {fix["gps_time"][11:16] for fix in fixes if fix["refused_latitude"]}
        assert refused == FAR_AWAY
        days = [json.loads(row) for row in of_device(incremental[DAILY], imeis[0])]
        assert {day["odometer_km"] for day in days} == {25}
        assert max(day["trail_km"] for day in days) < 100
        assert len(of_device(incremental["tracksolid.alarms"], imeis[0])) == 4
        (device,) = of_device(incremental["tracksolid.devices"], imeis[0])
        assert json.loads(device)["driver_name"] == "Achieng"
        assert json.loads(device)["sim"] == "1"
        assert json.loads(device)["vehicle_id"] == "bus imei"
        assert len(of_device(incremental["tracksolid.device_absences"], imeis[0])) == 1

        dbt_runner.run(project, database, ["run", "--full-refresh"], lambda *_: None)
        full = contents(connection)
        assert full.keys() == incremental.keys()
        for table, rows in full.items():
            assert rows == incremental[table], (table, seed, loads)


def assert_states_are_contiguous(rows: list[str]) -> None:
    states = sorted((json.loads(row) for row in rows), key=lambda s: (s["imei"], s["start_time"]))
    for state, following in pairwise(states):
        same_device = state["imei"] == following["imei"]
        assert state["end_time"] == (following["start_time"] if same_device else None)


@pytest.mark.long
def test_plate_entered_later_applies_to_all_days(built_empty: Built) -> None:
    """For a vehicle in seeds/vehicles.csv; other vehicles are named by their plate."""
    project, database, imei = built_empty.settings, built_empty.database, "860000000000001"
    with dbt_runner.in_one_process(project, database), database.connect() as connection:
        connection.execute(
            "insert into tracksolid.vehicles (imei, vehicle_id) values (%s, 'A')", [imei]
        )
        insert_call_windows(connection)
        plates = "select distinct plates_pct::integer from dwh_gold.kpi_data_quality_daily"
        for load, (numbers, found) in enumerate([((0, 7), 0), ((2,), 100)]):
            deliver(connection, load, [(imei, number) for number in numbers])
            dbt_runner.run(project, database, RUN_TABLES, lambda *_: None)
            assert connection.execute(plates.encode()).fetchall() == [(found,)]
        incremental = contents(connection)
        dbt_runner.run(project, database, ["run", "--full-refresh"], lambda *_: None)
        assert contents(connection) == incremental
