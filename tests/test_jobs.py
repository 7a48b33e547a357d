"""Field service KPIs from a job file and the fleet's stops, compared with a Python computation."""

import csv
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from conftest import NOW, settings_for
from test_jobs_import import commands, write
from test_pipeline import haversine_km

from loader.landing import Landing
from loader.poll import Loader
from operations.imports.csv_file import JOBS, import_csv, read_csv
from sandbox import Fleet, Sandbox, fleet
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

EAT = ZoneInfo("Africa/Nairobi")
BUILD = ["--indirect-selection", "cautious", "--exclude-resource-type", "unit_test"]
Job = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> Fleet:
    """A fleet from Sunday to Wednesday, so that a week ends in between."""
    return fleet(seed=7, days=3, devices=40, now=NOW)


@pytest.fixture(scope="module")
def jobs_file(world: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of jobs near the fleet's stops, and some without a stop."""
    chance = random.Random(5)
    rows: list[dict[str, str]] = []
    for device in world.devices.values():
        if not device.plate or device.model == "JC400P":
            continue
        for stop in world.stops(device.imei, world.first, world.now()):
            if chance.random() < 0.6 or stop.start < world.first + 7200:
                continue
            arrived = datetime.fromtimestamp(stop.start, UTC)
            created = arrived - timedelta(minutes=chance.randint(20, 600))
            dispatched = arrived - timedelta(minutes=chance.randint(-10, 19))
            closed = arrived + timedelta(minutes=chance.randint(1, 200))
            plate = chance.choice([device.plate, device.plate.lower().replace(" ", "-"), "unknown"])
            repeated = chance.choice(rows)["job_id"] if rows and chance.random() < 0.2 else ""
            rows.append(
                {
                    "job_id": f"J{len(rows):04}",
                    "service_type": chance.choice(["Fault resolution", "Business support"]),
                    "city": chance.choice(["nairobi", "Mombasa", "KAMPALA", ""]),
                    "created": local(created),
                    "dispatched": chance.choice([local(dispatched), ""]),
                    "arrived": chance.choice([arrived.isoformat(), "", "", "soon"]),
                    "closed": chance.choice([local(closed), closed.isoformat(), ""]),
                    "technician": chance.choice(["Otieno", "Achieng", "Hamisi", ""]),
                    "vehicle": plate,
                    "customer_class": "home",
                    "lat": f"{stop.point.lat + chance.choice([0, 0.0012, 0.006]):.6f}",
                    "lng": f"{stop.point.lng:.6f}",
                    "repeat_of": repeated,
                    "note": "not read",
                }
            )
    return write(tmp_path_factory.mktemp("jobs") / "jobs.csv", rows)


def local(instant: datetime) -> str:
    return instant.astimezone(EAT).strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="module")
def gold(
    world: Fleet,
    jobs_file: Path,
    new_database: Callable[[], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[psycopg.Connection, Settings, Database]]:
    """Gold built from the fleet's stops and the file."""
    database, work_dir = new_database(), tmp_path_factory.mktemp("work")
    with Sandbox(world, login_interval_seconds=0) as api:
        settings = settings_for(api, database, work_dir)
        loader = Loader(settings, database)
        loader.poll(["child_list", "device_list", "location_list"])
        start, end = (datetime.fromtimestamp(t, UTC) for t in (world.first, world.now() + 1))
        loader.backfill(start, end, ["track_mileage", "parking_report"])
    done = commands(database, work_dir)("import-jobs", str(jobs_file))
    assert done.returncode == 0, done.stderr
    selected = ["build", "--select", "+kpi_field_service_daily", "rejected_records", *BUILD]
    with dbt_runner.in_one_process(settings, database), database.connect() as connection:
        dbt_runner.run(settings, database, selected, lambda *_: None)
        yield connection, settings, database


def expected_jobs(
    file: Path, world: Fleet, vehicles: dict[str, tuple[str, str]], sla_min: float | None
) -> dict[str, Job]:
    """The file's jobs as gold should have them, computed by docs/JOBS.md without dbt."""
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    by_name = {letters(vehicle): vehicle for vehicle in vehicles}
    jobs: dict[str, Job] = {}
    for row in rows:
        created, dispatched, arrived, closed = (
            instant(row[name]) for name in ("created", "dispatched", "arrived", "closed")
        )
        vehicle = by_name.get(letters(row["vehicle"]))
        begin = dispatched or created
        assert begin
        if arrived is None and vehicle:
            until = closed or begin + timedelta(hours=12)
            place = float(row["lat"]), float(row["lng"])
            starts = [
                start
                for stop in world.stops(vehicles[vehicle][0], world.first, world.now())
                if begin <= (start := datetime.fromtimestamp(stop.start, UTC)) <= until
                and haversine_km((start, *stop.point), (start, *place)) <= 0.3
            ]
            arrived = min(starts, default=None)
        response = minutes(begin, arrived)
        jobs[row["job_id"]] = {
            "vehicle": vehicle,
            "technician": row["technician"] or None,
            "city": row["city"].capitalize() or (vehicles[vehicle][1] if vehicle else "Unassigned"),
            "arrived": arrived,
            "created_day": eat_day(created),
            "closed": closed,
            "closed_day": eat_day(closed),
            "response": response,
            "repair": minutes(arrived, closed),
            "is_first_time_fix": closed and not any(
                other["repeat_of"] == row["job_id"]
                and other is not row
                and instant(other["created"]) <= closed + timedelta(days=14)  # type: ignore[operator]
                for other in rows
            ),
            "is_within_sla": None if None in (sla_min, response) else response <= sla_min,
        }  # fmt: skip
    return jobs


def letters(name: str) -> str:
    return "".join(c for c in name.upper() if c.isascii() and c.isalnum())


def instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=EAT)


def eat_day(instant: datetime | None) -> date | None:
    return instant.astimezone(EAT).date() if instant else None


def minutes(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() / 60 if start and end and end >= start else None


def expected_kpis(jobs: dict[str, Job], days: list[date]) -> dict[tuple, tuple]:
    """The expected KPI values per day and subject."""
    subjects = defaultdict(list)
    for job in jobs.values():
        for subject in (
            ("fleet", "Fleet"),
            ("city", job["city"]),
            ("cost_centre", "Unassigned"),
            ("vehicle", job["vehicle"]),
            ("technician", job["technician"]),
        ):
            if subject[1]:
                subjects[subject].append(job)
    first = min(job["closed_day"] for job in jobs.values() if job["closed_day"])
    last = max(max(job["created_day"], job["closed_day"] or first) for job in jobs.values())
    found: dict[tuple, tuple] = {}
    for subject, its in subjects.items():
        for day in days:
            if not first <= day <= last:
                found[day, *subject] = (None,) * 7
                continue
            closed = [job for job in its if job["closed_day"] == day]
            monday = day - timedelta(days=day.weekday())
            week = [job for job in its if job["closed_day"] and monday <= job["closed_day"] <= day]
            names = [(job["technician"], job["city"]) for job in closed if job["technician"]]
            still_open = [
                job
                for job in its
                if job["created_day"] <= day
                and not (job["closed_day"] and max(job["closed_day"], job["created_day"]) <= day)
            ]
            found[day, *subject] = (
                len(closed),
                len(names) / len(set(names)) if names else None,
                len(still_open),
                share(week, "is_first_time_fix"),
                average(week, "response"),
                average(week, "repair"),
                share(week, "is_within_sla"),
            )
    return {
        key: values
        for key, values in found.items()
        if key[1] in ("fleet", "city", "cost_centre") or values[2] or values[3] is not None
    }


def average(jobs: list[Job], measure: str) -> float | None:
    known = [job[measure] for job in jobs if job[measure] is not None]
    return mean(known) if known else None


def share(jobs: list[Job], measure: str) -> float | None:
    known = [job[measure] for job in jobs if job[measure] is not None]
    return 100 * sum(map(bool, known)) / len(known) if known else None


def assert_gold(
    connection: psycopg.Connection, world: Fleet, file: Path, sla_min: float | None
) -> dict[str, Job]:
    vehicles = {
        vehicle: (imei, city)
        for vehicle, imei, city in connection.execute(
            "select vehicle_id, imei, city from dwh_gold.dim_vehicles where is_primary_device"
        )
    }
    jobs = expected_jobs(file, world, vehicles, sla_min)
    facts = connection.execute(
        "select job_id, vehicle_id, technician, city, arrived_time, created_day, closed_time,"
        " closed_day, (response_s / 60.0)::float, (repair_s / 60.0)::float, is_first_time_fix,"
        " is_within_sla from dwh_gold.fact_jobs"
    ).fetchall()
    assert {job_id for job_id, *_ in facts} == jobs.keys()
    for job_id, *values in facts:
        assert values == roughly(jobs[job_id].values()), job_id
    days = [row[0] for row in connection.execute("select day from dwh_gold.dim_dates order by day")]
    found = {
        (day, scope, subject): values
        for day, scope, subject, *values in connection.execute(
            "select day, scope, scope_value, jobs_closed_count, jobs_per_technician::float,"
            " jobs_open_count, first_time_fix_pct::float, mtta_min::float, mttr_min::float,"
            " sla_compliance_pct::float"
            " from dwh_gold.kpi_field_service_daily"
        )
    }
    expected = expected_kpis(jobs, days)
    assert found.keys() == expected.keys()
    for key, values in found.items():
        assert values == roughly(expected[key]), key
    return jobs


def roughly(values: Iterable[object]) -> list[object]:
    """Compare floats to two decimals, as in gold, and everything else exactly."""
    return [pytest.approx(v, abs=0.0051) if isinstance(v, float) else v for v in values]


def test_job_kpis_match_file_and_stops(gold, world: Fleet, jobs_file: Path) -> None:
    connection, *_ = gold
    jobs = assert_gold(connection, world, jobs_file, sla_min=None)
    sources = dict(
        connection.execute("select arrival_source, count(*) from dwh_gold.fact_jobs group by 1")
    )
    # Enough jobs of each kind, so that the comparison proves something.
    assert min(sources[kind] for kind in ("job_system", "stop", None)) >= 20
    assert sum(job["is_first_time_fix"] is False for job in jobs.values()) >= 10
    assert {job["closed_day"].weekday() for job in jobs.values() if job["closed"]} >= {6, 0, 1}
    rejected = connection.execute(
        "select reason, is_kept, count(*) from tracksolid.rejected_records"
        " where source = 'jobs' group by 1, 2"
    ).fetchall()
    soon = jobs_file.read_text().count(",soon,")
    assert rejected == [("arrived", True, soon)]


def test_sla_compliance_appears_once_a_target_is_set(gold, world: Fleet, jobs_file: Path) -> None:
    connection, settings, database = gold
    rule = "update tracksolid.operating_rules set value = %s where rule like 'sla_arrival_%%'"
    run = ["run", "--select", "fact_jobs", "kpi_field_service_daily"]
    try:
        connection.execute(rule, [45])
        dbt_runner.run(settings, database, run, lambda *_: None)
        jobs = assert_gold(connection, world, jobs_file, sla_min=45)
        assert {True, False, None} == {job["is_within_sla"] for job in jobs.values()}
    finally:
        connection.execute(rule, [None])
        dbt_runner.run(settings, database, run, lambda *_: None)


def test_build_without_new_data_rewrites_no_job(gold) -> None:
    connection, settings, database = gold
    versions = "select job_id, xmin::text from dwh_gold.fact_jobs order by 1"
    before = connection.execute(versions).fetchall()
    dbt_runner.run(settings, database, ["run", "--select", "fact_jobs"], lambda *_: None)
    assert connection.execute(versions).fetchall() == before


def test_later_export_updates_only_changed_jobs(
    gold, world: Fleet, jobs_file: Path, tmp_path: Path
) -> None:
    """The later file closes open jobs and adds a repeat; all other jobs stay as built."""
    connection, settings, database = gold
    with jobs_file.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    still_open = [row for row in rows if not row["closed"]]
    for row in still_open[::2]:
        row["closed"] = local(instant(row["created"]) + timedelta(hours=30))  # type: ignore[operator]
    rows[-1]["repeat_of"] = rows[0]["job_id"]
    changed = write(tmp_path / "later.csv", rows)
    assert import_csv(read_csv(changed, JOBS), database, Landing(database, settings.work_dir))
    run = ["run", "--select", "jobs", "fact_jobs", "kpi_field_service_daily"]
    dbt_runner.run(settings, database, run, lambda *_: None)
    assert_gold(connection, world, changed, sla_min=None)
    incremental = built(connection)
    dbt_runner.run(settings, database, [*run, "--full-refresh"], lambda *_: None)
    assert built(connection) == incremental


def built(connection: psycopg.Connection) -> dict[str, list[tuple]]:
    return {
        table: connection.execute(f"select * from {table} order by 1, 2, 3, 4".encode()).fetchall()
        for table in ("dwh_gold.fact_jobs", "dwh_gold.kpi_field_service_daily")
    }
