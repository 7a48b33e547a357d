"""Times the live view: 10,000 devices, 10 million fixes, with and without an unbuilt sweep."""

import statistics
import time

import psycopg

from benchmarks.common import Result, scratch_database
from loader.landing import Landing
from settings import Settings
from warehouse import dbt_runner

DEVICES = 10_000
FIXES_PER_DEVICE = 1_000
ROUNDS = 7

FILL = """
    insert into tracksolid.devices (imei)
    select '86' || lpad(device::text, 13, '0') from generate_series(1, %(devices)s) as device;
    insert into tracksolid.position_history (
        imei, gps_time, source, source_rank, latitude, longitude, speed_kmh, fetched_at,
        record_id, load_id
    )
    select
        '86' || lpad(device::text, 13, '0'),
        '2026-03-01Z'::timestamptz + number * interval '1 minute',
        'track_list', 1, -1.2, 36.8, 40, '2026-03-02Z', 'r' || number, 'history'
    from generate_series(1, %(fixes)s) as number, generate_series(1, %(devices)s) as device;
    insert into tracksolid.newest_fixes
    select * from tracksolid.position_history
    where gps_time = '2026-03-01Z'::timestamptz + %(fixes)s * interval '1 minute';
"""

SWEEP = """
    insert into raw.location_list (body, imei, request, fetched_at, record_id, _dlt_load_id)
    select
        format(
            '{"imei":"%%s","deviceName":"x","status":"1","posType":"GPS","lat":-1.21,"lng":36.81,'
            '"hbTime":"2026-03-03 00:00:10","accStatus":"1","gpsSignal":"4","powerValue":"12.6",'
            '"speed":"46","gpsNum":"14","gpsTime":"2026-03-03 00:00:05","direction":"187",'
            '"activationFlag":"1","expireFlag":"1","electQuantity":"","locDesc":null,'
            '"distance":"-1","temperature":null,"trackerOil":"0.00L","trackerOils":null,'
            '"currentMileage":"10254.730112","account":"a","customerName":"A","iccid":"89"}', imei
        ),
        imei, '{}', '2026-03-03 00:00:20Z', 'sweep' || imei, 'sweep'
    from tracksolid.devices;
    insert into raw._dlt_loads values ('sweep', 'tracksolid', 0, now(), 'h');
"""


def run() -> list[Result]:
    with scratch_database() as (database, folder):
        settings = Settings(work_dir=folder / "work", database_url=None)
        Landing(database, settings.work_dir).prepare()
        select = ["run", "--select", "+live_positions", "--exclude", "resource_type:snapshot"]
        dbt_runner.run(settings, database, ["seed"], lambda *_: None)
        dbt_runner.run(settings, database, select, lambda *_: None)
        with database.connect() as connection:
            cursor = psycopg.ClientCursor(connection)  # several statements with parameters
            cursor.execute(FILL.encode(), {"devices": DEVICES, "fixes": FIXES_PER_DEVICE})
            connection.execute("vacuum analyze")
            built_ms = _live_ms(connection)
            cursor.execute(SWEEP.encode(), {})
            connection.execute("vacuum analyze")
            behind_ms = _live_ms(connection)
    return [
        Result("live_positions, 10,000 devices on 10 million fixes, ms", built_ms, "<= 100"),
        Result("  with one sweep that no build has read yet, ms", behind_ms),
    ]


def _live_ms(connection: psycopg.Connection) -> float:
    """Median milliseconds of a query over the whole live view; the first round only warms up."""
    took_ms = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        row = connection.execute(
            "select count(*), count(latitude), max(gps_time), sum(speed_kmh)"
            " from tracksolid.live_positions"
        ).fetchone()
        took_ms.append((time.perf_counter() - began) * 1000)
        assert row is not None
        assert row[0] == DEVICES
    return statistics.median(took_ms[1:])
