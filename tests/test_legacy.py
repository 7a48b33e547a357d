"""The import from the old system: both versions of its tables, in a second database.

The old system holds what the stand-in answers: once at the same time with a small error, and once
40 days earlier, before the product existed. So every imported value is known.
"""

import csv
import io
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import command_line
import psycopg
import pytest
from conftest import NOW
from databases import Databases
from fleets import load
from psycopg.types.json import Jsonb

from loader.batch import Batch
from loader.landing import Landing
from operations.imports import legacy
from operations.imports.legacy import import_legacy
from operations.imports.old_system import LegacyError, OldSystem
from sandbox import fleet
from warehouse.database import Database

# Only the names of the old tables and columns are known. PostGIS casts a geometry to GeoJSON.
OLD = """
    create schema tracksolid;
    create table tracksolid.devices (
        imei text primary key, driver_name text, vehicle_number text, fuel_100km numeric,
        assigned_city text, cost_centre text
    );
    create table tracksolid.trips (
        id bigint generated always as identity, imei text, start_time timestamptz,
        end_time timestamptz, {distance} numeric, driving_time_s integer, avg_speed_kmh numeric,
        max_speed_kmh numeric, start_geom json
    );
    create table tracksolid.position_history (
        imei text, gps_time timestamptz, lat double precision, lng double precision, geom json,
        speed numeric, direction numeric, acc_status text, source text
    );
    create table tracksolid.parking_events (
        imei text, start_time timestamptz, end_time timestamptz, duration_s integer, address text
    );
    create table tracksolid.alarms (
        imei text, alarm_type text, alarm_name text, alarm_time timestamptz, lat numeric,
        lng numeric, severity text, source text
    );
    create table tracksolid.device_events (imei text, event_type text, event_time timestamptz);
    create table tracksolid.live_positions (imei text primary key);
    create table tracksolid.api_token_cache (access_token text);
"""
EARLIER, NO_TIME = "interval '40 days'", "interval '0 days'"
ANSWERS = """
    select distinct on (imei, body::jsonb ->> '{time}') imei, body::jsonb
    from raw.{table} where imei is not null
    order by imei, body::jsonb ->> '{time}', fetched_at desc
"""
LOST = ("900000000000017", "2026-01-02 07:00+00")  # its distance fits no unit


def answers(here: psycopg.Connection, table: str, time: str) -> list[tuple]:
    return here.execute(ANSWERS.format(table=table, time=time).encode()).fetchall()


def fill(old: Database, here: psycopg.Connection, distance: str) -> None:
    """Fill the old system's tables from the API's answers in this product's raw."""
    with old.connect() as connection, connection.cursor() as there:
        there.execute(OLD.format(distance=distance).encode())
        for number, (imei, trip) in enumerate(answers(here, "track_mileage", "startTime")):
            km = trip["distance"] / 1000
            # FIX-M11 to FIX-M16: metres in the km column; only the value itself shows it.
            is_metres = distance == "distance_km" and number % 3 == 0
            for shift, value in ((EARLIER, km * 1000 if is_metres else km), (NO_TIME, km + 1)):
                there.execute(
                    f"insert into tracksolid.trips (imei, start_time, end_time, {distance},"
                    " driving_time_s, avg_speed_kmh, start_geom) values"
                    f" (%s, %s::timestamptz - {shift}, %s::timestamptz - {shift}, %s, %s, %s, %s)",
                    [
                        imei,
                        trip["startTime"] + "Z",
                        trip["endTime"] + "Z",
                        value if distance == "distance_km" else value * 1_000_000,
                        trip.get("runTimeSecond") if number % 2 else None,
                        trip.get("avgSpeed"),
                        Jsonb({"type": "Point", "coordinates": [36.8, -1.25]}),
                    ],
                )
        there.execute(
            f"insert into tracksolid.trips (imei, start_time, {distance}, driving_time_s)"
            " values (%s, %s, 9876543, 60), (%s, null, 1, 60)",
            [*LOST, LOST[0]],
        )
        for imei, fix in answers(here, "track_list", "gpsTime")[:3000]:
            place = [fix["lng"], fix["lat"]]
            there.execute(
                "insert into tracksolid.position_history"
                f" values (%s, %s::timestamptz - {EARLIER}, null, null, %s, %s, 10, '1', 'poll')",
                [imei, fix["gpsTime"] + "Z", Jsonb({"type": "Point", "coordinates": place}), 33],
            )
        for imei, stop in answers(here, "parking_report", "startTime"):
            there.execute(
                "insert into tracksolid.parking_events"
                f" values (%s, %s::timestamptz - {EARLIER}, null, %s, %s)",
                [imei, stop["startTime"], stop["durSecond"], "an address"],
            )
        for imei, alarm in answers(here, "alarm_list", "alertTime"):
            for shift in (EARLIER, NO_TIME):
                there.execute(
                    "insert into tracksolid.alarms (imei, alarm_type, alarm_name, alarm_time)"
                    f" values (%s, %s, 'old name', %s::timestamptz - {shift})",
                    [imei, alarm["alertTypeId"], alarm["alertTime"] + "Z"],
                )
        there.execute(
            "insert into tracksolid.devices values"
            " (%s, 'Old Driver', 'KDK 829A', 9.5, 'Mombasa', 'Coast')",
            [LOST[0]],
        )
        there.execute("insert into tracksolid.device_events values (%s, 'LOGOUT', %s)", LOST)
        there.execute("insert into tracksolid.api_token_cache values ('s3cret-token')")


@dataclass(frozen=True)
class LegacyMove:
    """A product with three days of data, and the old system's database."""

    old: Database
    new: Database
    environment: dict[str, str]
    said: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.environment, *arguments)

    def rows(self, query: str) -> list[tuple]:
        with self.new.connect() as connection:
            return connection.execute(query.encode()).fetchall()


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return command_line.run(*arguments, env=os.environ | environment | {"COLUMNS": "200"})


@pytest.fixture(
    scope="module", params=["distance_m", pytest.param("distance_km", marks=pytest.mark.long)]
)
def move(
    request: pytest.FixtureRequest,
    server: Database,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> LegacyMove:
    def three_days(database: Database, work_dir: Path) -> None:
        load(fleet(seed=3, days=3, devices=12, now=NOW), database, work_dir)

    work = tmp_path_factory.mktemp("work")
    new = Database(databases.clone("three_days", databases.with_raw, three_days).url)
    old = server.sibling(f"old_{request.param}")
    with new.connect() as connection:
        fill(old, connection, request.param)
    environment = {"WORK_DIR": str(work), "LEGACY_DATABASE_URL": old.url}
    environment["DATABASE_URL"] = databases.parsed(work, new)
    done = run(environment, "import-legacy")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return LegacyMove(old, new, environment, done.stdout)


def test_imported_distances_match_the_api(move: LegacyMove) -> None:
    trips = move.rows(
        f"""
        select imported.distance_km, polled.distance_km, imported.start_latitude
        from (select * from tracksolid.trips where source = 'legacy') as imported
        full join (select * from tracksolid.trips where source = 'poll') as polled
            on
                imported.imei = polled.imei
                and imported.start_time = polled.start_time - {EARLIER}
        where imported.imei is distinct from '{LOST[0]}'
        """
    )
    assert len(trips) > 100
    assert [trip for trip in trips if trip[0] != trip[1]] == []
    assert {latitude for *_, latitude in trips} == {Decimal("-1.25")}


def test_new_data_replaces_imported_data(move: LegacyMove) -> None:
    newer = "select max(start_time) from tracksolid.trips where source = 'legacy'"
    polled = f"select min(start_time) > ({newer}) from tracksolid.trips where source = 'poll'"
    assert move.rows(polled) == [(True,)]
    assert move.rows(
        "select distinct source, alarm_name = 'old name' from tracksolid.alarms order by 1"
    ) == [("legacy", True), ("poll", False)]


def test_data_known_only_to_the_old_system_is_imported(move: LegacyMove) -> None:
    for table, legacy_table in (
        ("position_history", "track_list"),
        ("parking_events", "parking_report"),
    ):
        rows = move.rows(f"select count(*) from tracksolid.{table} where source = 'legacy'")
        there = move.rows(f"select count(distinct body) from raw.{legacy_table}")
        assert 0 < rows[0][0] <= there[0][0]
    assert move.rows(
        "select driver_name, vehicle_number, assigned_city, cost_centre, fuel_norm_l_per_100km"
        f" from tracksolid.devices where imei = '{LOST[0]}'"
    ) == [("Old Driver", "KDK 829A", "Mombasa", "Coast", Decimal("9.50"))]
    assert move.rows(
        "select event_type from tracksolid.device_events where reported_by = 'legacy_device_events'"
    ) == [("LOGOUT",)]
    # The facts have it too.
    assert move.rows("select count(*) > 0 from dwh_gold.fact_trips where source = 'legacy'") == [
        (True,)
    ]


def test_legacy_row_lands_verbatim(move: LegacyMove) -> None:
    with move.old.connect() as connection:
        connection.execute("set timezone to 'UTC'")
        rows = connection.execute(
            "select to_json(old)::text from tracksolid.trips as old order by 1"
        ).fetchall()
    assert move.rows("select distinct body from raw.legacy_trips order by 1") == rows
    assert move.rows("select distinct imei is null from raw.legacy_trips") == [(False,)]


def test_import_report_counts_imported_converted_and_rejected_rows(move: LegacyMove) -> None:
    trips = move.rows(
        "select records_count, kept_count, rejected_count, from_millimetres_count > 0,"
        " from_metres_count > 0, unknown_distance_count from tracksolid.legacy_import"
        " where raw_table = 'legacy_trips'"
    )[0]
    is_mm = move.old.name.endswith("distance_m")
    # Half of them are also polled; one has no time.
    assert trips[0] == 2 * (trips[1] - 1) + 2
    assert trips[2:] == (1, is_mm, not is_mm, 1)
    assert move.rows(
        "select reason from tracksolid.rejected_records where source = 'legacy_trips'"
    ) == [("start_time",)]
    assert "legacy_position_history" in move.said
    assert "Not imported: api_token_cache, live_positions" in move.said


def test_import_copies_no_secret_or_password(move: LegacyMove) -> None:
    requests = move.rows("select distinct request from raw.legacy_trips")
    held = str(requests) + move.said
    assert "s3cret-token" not in held
    assert move.old.environment()["PGPASSWORD"] not in str(requests)
    assert json.loads(requests[0][0]).keys() == {"from", "table", "day", "rows"}


def test_second_import_reads_only_new_rows(move: LegacyMove, tmp_path: Path) -> None:
    with move.old.connect() as connection:
        connection.execute(
            "insert into tracksolid.alarms (imei, alarm_type, alarm_time)"
            " select imei, '99', alarm_time from tracksolid.alarms order by alarm_time limit 1"
        )
        day = connection.execute(
            "select count(*) from tracksolid.alarms where alarm_time::date = ("
            "select min(alarm_time)::date from tracksolid.alarms)"
        ).fetchone()
    landing = Landing(move.new, tmp_path)
    landing.prepare()
    done = {each.table: each for each in import_legacy(OldSystem(move.old.url), move.new, landing)}
    # The day with one more row, and the last two days, which may still change.
    assert day is not None
    young = move.rows(
        "select count(*) from tracksolid.alarms where source = 'poll'"
        " and alarm_time > now() - interval '4 days'"
    )[0][0]
    assert day[0] <= done["alarms"].landed <= day[0] + young
    assert done["position_history"].landed == 0
    assert done["devices"].landed == 1  # read completely every time


class ImportCrash(Exception):
    """Raised in place of a crash of the import."""


def test_interrupted_import_resumes(
    move: LegacyMove,
    new_database: Callable[[], Database],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database, old = new_database(), OldSystem(move.old.url)
    landing = Landing(database, tmp_path)
    landing.prepare()
    monkeypatch.setattr(legacy, "BATCH_ROWS", 20)
    loads = 0

    def land(batch: Batch) -> str | None:
        nonlocal loads
        loads += 1
        if loads == 5:
            raise ImportCrash
        return Landing.land(landing, batch)

    monkeypatch.setattr(landing, "land", land)
    with pytest.raises(ImportCrash):
        import_legacy(old, database, landing)
    monkeypatch.undo()
    with database.connect() as connection:
        count = "select count(*), count(distinct record_id) from raw.legacy_trips"
        before = connection.execute(count.encode()).fetchone()
        done = {each.table: each for each in import_legacy(old, database, landing)}
        after = connection.execute(count.encode()).fetchone()
    assert before is not None
    assert after is not None
    assert 0 < before[1] < after[1] == done["trips"].rows
    assert done["trips"].landed < done["trips"].rows


def test_comparison_is_per_day_and_vehicle(move: LegacyMove) -> None:
    days = [datetime.fromtimestamp(NOW, UTC).date() - timedelta(days=n) for n in (2, 1)]
    span = ("--first", str(days[0]), "--last", str(days[1]))
    done = move.run("compare-legacy", *span, "--csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["day"] for row in rows} == {str(day) for day in days}
    for row in rows:
        # One km more per trip: the old system's small error.
        assert float(row["old km"] or 0) == pytest.approx(
            float(row["new km"] or 0) + int(row["new trips"]), abs=0.11
        )
        assert row["old trips"] == row["new trips"]
        assert row["old alarms"] == row["new alarms"]
        assert (row["differs"] == "≠") == (int(row["new trips"]) > 0)
    shown = move.run("compare-legacy", *span, "--differing").stdout
    assert f"{len(rows)} vehicle-days" in shown


def test_comparison_before_the_first_build_says_so(
    move: LegacyMove, new_database: Callable[[], Database]
) -> None:
    done = run(move.environment | {"DATABASE_URL": new_database().url}, "compare-legacy")
    assert done.returncode == 1
    assert "run orchestrate.py build first" in done.stderr


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://old/tracksolid_db", "--from must be postgresql://"),
        ("postgresql://reader:hidden@127.0.0.1:1/old", "cannot read 127.0.0.1:1/old"),
        ("{new}", "a database of this product"),
        ("{empty}", "none of the tables devices, trips"),
    ],
)
def test_database_without_legacy_tables_is_refused_in_one_line(
    move: LegacyMove, server: Database, url: str, why: str
) -> None:
    url = url.format(new=move.new.url, empty=server.sibling("not_old").url)
    done = run(move.environment | {"LEGACY_DATABASE_URL": url}, "import-legacy")
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_legacy_table_without_an_expected_column_is_named(server: Database) -> None:
    old = server.sibling("old_without_time")
    with old.connect() as connection:
        connection.execute("create schema if not exists tracksolid")
        connection.execute("create table if not exists tracksolid.trips (imei text, began date)")
    with pytest.raises(LegacyError, match=r"tracksolid\.trips .* has no column start_time"):
        OldSystem(old.url).parts("trips")


def test_old_system_is_only_read(move: LegacyMove) -> None:
    with pytest.raises(LegacyError, match="read-only"):
        OldSystem(move.old.url).query("delete from tracksolid.trips returning imei")
