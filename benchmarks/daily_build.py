"""Times dbt build of one new day on a short and a long history, which must cost the same."""

import os
import statistics
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from benchmarks.common import Result, scratch_database
from loader.landing import Landing
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

DEVICES = int(os.environ.get("VEHICLES", "2000"))
HISTORIES = (3, 30)
NEW_DAYS = 5
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
# Without unit tests, because their constant cost would hide a difference.
BUILD = ["build", "--exclude-resource-type", "unit_test"]

# One load of one day: 30 fixes, 6 trips, 6 stops and 2 alarms per device, as the API sends them.
DAY = """
    with event as (
        select
            '86' || lpad(device::text, 13, '0') as imei,
            number,
            %(day)s::timestamptz + number * interval '25 minutes' + device * interval '1 second'
            as at
        from generate_series(1, %(devices)s) as device, generate_series(1, 30) as number
    ),

    fixes as (
        insert into raw.track_list (body, imei, request, fetched_at, record_id, _dlt_load_id)
        select
            format(
                '{"lat":-1.%%s,"lng":36.8%%s,"gpsTime":"%%s","direction":187,"gpsSpeed":46.0,'
                '"posType":1,"satellite":12,"ignition":"ON","accStatus":"ON","gpsMode":0}',
                200000 + number * 37, 1000 + number, to_char(at, 'YYYY-MM-DD HH24:MI:SS')
            ),
            imei, '{}', %(day)s + interval '1 day', md5('f' || imei || at), %(load)s
        from event
    ),

    trips as (
        insert into raw.track_mileage (body, imei, request, fetched_at, record_id, _dlt_load_id)
        select
            format(
                '{"imei":"%%s","startTime":"%%s","endTime":"%%s","runTimeSecond":1200,'
                '"distance":9000.5,"avgSpeed":27,"maxSpeed":61}',
                imei, to_char(at, 'YYYY-MM-DD HH24:MI:SS'),
                to_char(at + interval '20 minutes', 'YYYY-MM-DD HH24:MI:SS')
            ),
            imei, '{}', %(day)s + interval '1 day', md5('t' || imei || at), %(load)s
        from event
        where number %% 5 = 0
    ),

    stops as (
        insert into raw.parking_report (body, imei, request, fetched_at, record_id, _dlt_load_id)
        select
            format(
                '{"imei":"%%s","startTime":"%%s","endTime":"%%s","durSecond":"600","acc":"off"}',
                imei, to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS".000Z"'),
                to_char(at + interval '10 minutes', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"')
            ),
            imei, '{"acc_type": "0", "account": "a"}', %(day)s + interval '1 day',
            md5('p' || imei || at), %(load)s
        from event
        where number %% 5 = 2
    ),

    alarms as (
        insert into raw.alarm_list (body, imei, request, fetched_at, record_id, _dlt_load_id)
        select
            format(
                '{"imei":"%%s","alertTypeId":"48","alarmTypeName":"Sudden Deceleration Alert",'
                '"alertTime":"%%s","speed":"46"}', imei, to_char(at, 'YYYY-MM-DD HH24:MI:SS')
            ),
            imei, '{}', %(day)s + interval '1 day', md5('a' || imei || at), %(load)s
        from event
        where number %% 15 = 0
    ),

    devices as (
        insert into raw.device_list (body, imei, request, fetched_at, record_id, _dlt_load_id)
        select
            format('{"imei":"%%s","deviceName":"%%s","enabledFlag":1}', imei, imei), imei, '{}',
            %(day)s, md5('d' || imei || at), %(load)s
        from event
        where number = 1
    ),

    calls as (
        insert into raw.api_calls (
            call_id, endpoint, method, account, request, imeis, window_start, window_end,
            started_at, duration_ms, http_status, code, message, records, attempt, envelope,
            _dlt_load_id
        )
        select
            md5(%(load)s), 'track_mileage', 'jimi.device.track.mileage', 'a', '{}', 'x',
            %(day)s, %(day)s + interval '1 day', %(day)s + interval '1 day', 1, 200, '0', '', 0, 1,
            '{}', %(load)s
    )

    insert into raw._dlt_loads values (%(load)s, 'tracksolid', 0, now(), 'h')
"""


def run() -> list[Result]:
    seconds: dict[int, list[float]] = {history: [] for history in HISTORIES}
    with ExitStack() as stack:
        sides = {history: _history(stack, history) for history in HISTORIES}
        for day in range(NEW_DAYS):
            # Both in turn, so that other load on this machine affects both.
            for history, (settings, database) in sides.items():
                land_day(database, history + day)
                seconds[history].append(_build(settings, database))
    few, many = HISTORIES
    short, long = (statistics.median(seconds[history]) for history in HISTORIES)
    return [
        Result(f"build of a new day, history of {many} / {few} days", long / short, "<= 1.15"),
        Result(f"  history of {few} days, s", short),
        Result(f"  history of {many} days, s", long),
    ]


def _history(stack: ExitStack, days: int) -> tuple[Settings, Database]:
    """A database with so many days, all of them built."""
    database, folder = stack.enter_context(scratch_database())
    settings = Settings(work_dir=folder / "work", database_url=None)
    Landing(database, settings.work_dir).prepare()
    for day in range(days):
        land_day(database, day)
    _build(settings, database)
    with database.connect() as connection:
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")  # now, so that it does not slow down the measured build
    return settings, database


def land_day(database: Database, day: int) -> None:
    """Insert a day of DEVICES devices into raw as one load; day 0 is FIRST."""
    values = {
        "devices": DEVICES,
        "day": FIRST + timedelta(days=day),
        "load": f"{1_800_000_000 + day}",
    }
    with database.connect() as connection:
        connection.execute(DAY.encode(), values)


def _build(settings: Settings, database: Database) -> float:
    began = time.perf_counter()
    dbt_runner.run(settings, database, BUILD, lambda *_: None)
    return time.perf_counter() - began
