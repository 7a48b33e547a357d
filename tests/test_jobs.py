"""From a CSV file of jobs to the KPIs of field service, by the command line and a real database."""

import csv
import io
import json
import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml
from conftest import NOW, settings_for
from test_pipeline import haversine_km

from loader.jobs import COLUMNS, import_jobs, read_jobs
from loader.landing import Landing
from loader.poll import Loader
from operations import dbt
from operations.database import Database
from sandbox import Fleet, Sandbox, fleet
from settings import ROOT, Settings

EAT = ZoneInfo("Africa/Nairobi")
BUILD = ["--indirect-selection", "cautious", "--exclude-resource-type", "unit_test"]
Job = dict[str, Any]
Run = Callable[..., subprocess.CompletedProcess[str]]


def commands(database: Database, work_dir: Path) -> Run:
    """The command line on this database."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url,
            "WORK_DIR": str(work_dir),
        }
        command = [sys.executable, str(ROOT / "orchestrate.py"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def run(database: Database, work_dir: Path) -> Run:
    return commands(database, work_dir)


def said(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"[\s│]+", " ", done.stdout + done.stderr)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


# ------------------------------------------------------------ the whole way, against Python


@pytest.fixture(scope="module")
def world() -> Fleet:
    """From a Sunday to a Wednesday: a week ends in it."""
    return fleet(seed=7, days=3, devices=40, now=NOW)


@pytest.fixture(scope="module")
def jobs_file(world: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs around the stops of the fleet, and some where no stop is."""
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
    """What is built of the fleet's stops and the file."""
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
    dbt.run(settings, database, selected, lambda *_: None)
    with database.connect() as connection:
        yield connection, settings, database


def expected_jobs(
    file: Path, world: Fleet, vehicles: dict[str, tuple[str, str]], sla_min: float | None
) -> dict[str, Job]:
    """The file's jobs as they should be, by docs/JOBS.md and nothing of dbt."""
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
    """Each subject's figures, day by day, counted out."""
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
    """Numbers to two decimals, as gold has them; everything else exactly."""
    return [pytest.approx(v, abs=0.0051) if isinstance(v, float) else v for v in values]


def test_gold_is_what_the_file_and_the_stops_say(gold, world: Fleet, jobs_file: Path) -> None:
    connection, *_ = gold
    jobs = assert_gold(connection, world, jobs_file, sla_min=None)
    sources = dict(
        connection.execute("select arrival_source, count(*) from dwh_gold.fact_jobs group by 1")
    )
    # The file holds enough of each kind to prove something.
    assert min(sources[kind] for kind in ("job_system", "stop", None)) >= 20
    assert sum(job["is_first_time_fix"] is False for job in jobs.values()) >= 10
    assert {job["closed_day"].weekday() for job in jobs.values() if job["closed"]} >= {6, 0, 1}
    rejected = connection.execute(
        "select reason, is_kept, count(*) from tracksolid.rejected_records"
        " where source = 'jobs' group by 1, 2"
    ).fetchall()
    soon = jobs_file.read_text().count(",soon,")
    assert rejected == [("arrived", True, soon)]


def test_sla_compliance_appears_once_a_target_is_known(gold, world: Fleet, jobs_file: Path) -> None:
    connection, settings, database = gold
    rule = "update tracksolid.operating_rules set value = %s where rule like 'sla_arrival_%%'"
    run = ["run", "--select", "fact_jobs", "kpi_field_service_daily"]
    try:
        connection.execute(rule, [45])
        dbt.run(settings, database, run, lambda *_: None)
        jobs = assert_gold(connection, world, jobs_file, sla_min=45)
        assert {True, False, None} == {job["is_within_sla"] for job in jobs.values()}
    finally:
        connection.execute(rule, [None])
        dbt.run(settings, database, run, lambda *_: None)


def test_a_build_without_news_writes_no_job(gold) -> None:
    connection, settings, database = gold
    versions = "select job_id, xmin::text from dwh_gold.fact_jobs order by 1"
    before = connection.execute(versions).fetchall()
    dbt.run(settings, database, ["run", "--select", "fact_jobs"], lambda *_: None)
    assert connection.execute(versions).fetchall() == before


def test_a_later_export_changes_the_jobs_it_changes(
    gold, world: Fleet, jobs_file: Path, tmp_path: Path
) -> None:
    """Open jobs are closed, a repeat comes to light; the rest stays as it was built."""
    connection, settings, database = gold
    with jobs_file.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    still_open = [row for row in rows if not row["closed"]]
    for row in still_open[::2]:
        row["closed"] = local(instant(row["created"]) + timedelta(hours=30))  # type: ignore[operator]
    rows[-1]["repeat_of"] = rows[0]["job_id"]
    changed = write(tmp_path / "later.csv", rows)
    assert import_jobs(read_jobs(changed), database, Landing(database, settings.work_dir))
    run = ["run", "--select", "jobs", "fact_jobs", "kpi_field_service_daily"]
    dbt.run(settings, database, run, lambda *_: None)
    assert_gold(connection, world, changed, sla_min=None)
    incremental = built(connection)
    dbt.run(settings, database, [*run, "--full-refresh"], lambda *_: None)
    assert built(connection) == incremental


def built(connection: psycopg.Connection) -> dict[str, list[tuple]]:
    return {
        table: connection.execute(f"select * from {table} order by 1, 2, 3, 4".encode()).fetchall()
        for table in ("dwh_gold.fact_jobs", "dwh_gold.kpi_field_service_daily")
    }


# ------------------------------------------------------------ files as people have them


def staged(database: Database, work_dir: Path) -> list[tuple]:
    """Staging after a build of it."""
    run = ["run", "--select", "jobs", "rejected_records"]
    dbt.run(Settings(work_dir=work_dir), database, run, lambda *_: None)
    with database.connect() as connection:
        return connection.execute("select * from tracksolid.jobs order by job_id").fetchall()


def test_the_same_file_twice_is_there_once_and_the_newest_copy_counts(
    run: Run, database: Database, work_dir: Path, tmp_path: Path
) -> None:
    monday = [
        {"job_id": "1", "created": "2026-11-16 08:00", "closed": "", "technician": "Otieno"},
        {"job_id": "2", "created": "2026-11-16 09:00", "closed": "", "technician": "Achieng"},
    ]
    file = write(tmp_path / "monday.csv", monday)
    first = run("import-jobs", str(file))
    assert first.returncode == 0, first.stderr
    assert "2 jobs landed, 0 lines kept as rejected" in first.stdout
    assert "no column service_type, city, dispatched, arrived" in said(first)
    before = staged(database, work_dir)

    again = run("import-jobs", str(file.rename(tmp_path / "copy of monday.csv")))
    assert again.returncode == 0
    assert "was imported before" in said(again)
    assert staged(database, work_dir) == before

    tuesday = [dict(monday[0], closed="2026-11-17 10:00"), monday[1]]
    run("import-jobs", str(write(tmp_path / "tuesday.csv", tuesday)))
    run("import-jobs", str(tmp_path / "copy of monday.csv"))
    staged(database, work_dir)
    with database.connect() as connection:
        found = connection.execute(
            "select job_id, technician, closed_time, file_name, line_number"
            " from tracksolid.jobs order by 1"
        ).fetchall()
    closed = datetime(2026, 11, 17, 7, tzinfo=UTC)
    assert found == [
        ("1", "Otieno", closed, "tuesday.csv", 2),
        ("2", "Achieng", None, "tuesday.csv", 3),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no column job_id"),
        (b"J1,Fault resolution,Nairobi\nJ2,Migration,Mombasa\n", "reads 'J1,Fault resolution"),
        (b"id,city\n1,Nairobi\n", "no column job_id in its first line, which reads 'id,city'"),
        (b"job_id;city\n1;Nairobi\n", "separated by commas"),
        (b"job_id,city,city\n1,Nairobi,Mombasa\n", "names a column twice"),
        ("job_id,city\n1,Zürich\n".encode("latin-1"), "not UTF-8 (byte 15)"),
        ("job_id,city\n1,Nairobi\n".encode("utf-16"), "not UTF-8"),
        (b'job_id,city\n1,"Nairobi\n2,Mombasa\n', "not well-formed CSV"),
    ],
)
def test_a_file_that_is_no_list_of_jobs_lands_nothing(
    run: Run, database: Database, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "jobs.csv"
    file.write_bytes(content)
    done = run("import-jobs", str(file))
    assert done.returncode == 2, done.stdout
    assert says in said(done)
    with database.connect() as connection:
        assert connection.execute("select to_regclass('raw.jobs')").fetchone() == (None,)


def test_a_file_that_is_not_there_is_wrong_use(run: Run, tmp_path: Path) -> None:
    done = run("import-jobs", str(tmp_path / "nosuch.csv"))
    assert done.returncode == 2
    assert "does not exist" in said(done)


def test_cells_land_as_they_are_and_bad_ones_cost_only_themselves(
    database: Database, work_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.csv"
    file.write_bytes(
        b"\xef\xbb\xbfjob_id,created,lat,lng,vehicle,Comment\r\n"
        b'1,2026-11-16 08:00, -1.30 ,36.8,KDA 001A,"Two\nlines, ""quoted"" \xc3\xa9"\r\n'
        b"2,yesterday,95,36.8,KDA 001A,\r\n"
        b",,,,,\r\n"
        b"3,2026-11-16 08:00,-1.3,36.8,KDA 001A,one,two\r\n"
        b"4,2026-11-16 08:00\r\n"
        b"5,2026-11-16 08:00,-1.3,36.8,KDA 001A,nul \x00\r\n"
        b" ,2026-11-16 08:00,-1.3,36.8,KDA 001A,no id\r\n"
    )
    landing = Landing(database, work_dir)
    landing.prepare()
    done = import_jobs(read_jobs(file), database, landing)
    assert done is not None
    assert (done.landed, done.rejected) == (5, 1)
    staged(database, work_dir)
    with database.connect() as connection:
        bodies = {
            json.loads(request)["line"]: json.loads(body)
            for body, request in connection.execute("select body, request from raw.jobs")
        }
        jobs = connection.execute(
            "select job_id, created_time is not null, latitude::float, line_number"
            " from tracksolid.jobs order by 1"
        ).fetchall()
        rejected = connection.execute(
            "select request::json ->> 'line', reason, is_kept from tracksolid.rejected_records"
            " order by 1"
        ).fetchall()
    with io.StringIO(file.read_text("utf-8-sig"), newline="") as text:
        cells = [row for row in csv.DictReader(text) if None not in row]
    assert bodies[2] == cells[0]
    assert bodies[2]["Comment"] == 'Two\nlines, "quoted" é'
    assert bodies[2]["lat"] == " -1.30 "
    assert bodies[7] == {"job_id": "4", "created": "2026-11-16 08:00"}
    assert jobs == [("1", True, -1.3, 2), ("2", False, None, 4), ("4", True, None, 7)]
    assert rejected == [
        ("4", "created, lat", True),
        ("6", "more cells than columns", False),
        ("8", "body", False),
        ("9", "job_id", False),
    ]


def test_a_line_with_too_many_cells_can_be_replayed_in_vain(
    run: Run, database: Database, tmp_path: Path
) -> None:
    """Nothing reads it better by itself; but the replay of the others must not stop at it."""
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,city\n1,Nairobi,Kampala\n")
    assert "0 jobs landed, 1 lines" in run("import-jobs", str(file)).stdout
    done = run("replay-rejected")
    assert done.returncode == 0, done.stderr
    assert "1 rejected pieces tried, 0 records landed" in done.stdout


def test_the_columns_told_are_those_read() -> None:
    """--help, the documents and the warning of a missing column against what staging reads."""
    macro = (ROOT / "dbt_fireside/macros/vendor_fields.sql").read_text()
    declared = re.search(r"^jobs:.*?(?=\n\n|\n\{%)", macro, re.MULTILINE | re.DOTALL)
    assert declared
    assert tuple(yaml.safe_load(declared[0])["jobs"]) == COLUMNS
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/JOBS.md").read_text(), re.MULTILINE)
    assert tuple(documented) == COLUMNS
    command = (ROOT / "operations/commands/intake.py").read_text()
    for column in COLUMNS:
        assert re.search(rf"\b{column}\b", command), column
