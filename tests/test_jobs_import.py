"""import-jobs and import-services: a CSV file lands in raw and staging (command line, database)."""

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import command_line
import pytest
import yaml
from databases import build_untested

from loader.landing import Landing
from operations.imports.csv_file import JOBS, SERVICES, Kind, import_csv, read_csv
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import Database

Run = Callable[..., subprocess.CompletedProcess[str]]


def commands(database: Database, work_dir: Path) -> Run:
    """A function that runs the command line on this database."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database.url,
            "WORK_DIR": str(work_dir),
        }
        return command_line.run(*arguments, env=environment)

    return run


@pytest.fixture
def run(database: Database, work_dir: Path) -> Run:
    return commands(database, work_dir)


def output(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"[\s│]+", " ", done.stdout + done.stderr)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def warm(database: Database, work_dir: Path) -> Iterator[None]:
    """One dbt for all that a test builds."""
    with dbt_runner.in_one_process(Settings(work_dir=work_dir), database):
        yield


def staged(database: Database, work_dir: Path) -> list[tuple]:
    """The rows of tracksolid.jobs after building it."""
    build_untested(database, work_dir, "--select", "+jobs", "+rejected_records")
    with database.connect() as connection:
        return connection.execute("select * from tracksolid.jobs order by job_id").fetchall()


@pytest.mark.usefixtures("warm")
def test_importing_a_file_twice_keeps_one_copy_the_newest(
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
    assert "no column service_type, city, dispatched, arrived" in output(first)
    before = staged(database, work_dir)

    again = run("import-jobs", str(file.rename(tmp_path / "copy of monday.csv")))
    assert again.returncode == 0
    assert "was imported before" in output(again)
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


@pytest.mark.usefixtures("warm")
def test_services_are_imported_and_a_line_that_cannot_be_read_is_rejected(
    run: Run, database: Database, work_dir: Path, tmp_path: Path
) -> None:
    lines = [
        {"plate": "KDK 829A GP", "date": "2026-02-10", "odometer": "233000", "kind": "full"},
        {"plate": "KCU-647D", "date": "10/02/2026", "odometer": "229500", "kind": "oil"},
        {"plate": "KCU-647D", "date": "2026-02-10", "odometer": "", "kind": "oil"},
    ]
    file = write(tmp_path / "services.csv", lines)
    for says in ("3 services landed, 0 lines kept as rejected", "was imported before"):
        done = run("import-services", str(file))
        assert done.returncode == 0, done.stderr
        assert says in output(done)
    select = "+services", "+rejected_records"
    build_untested(database, work_dir, "--select", *select)
    with database.connect() as connection:
        assert connection.execute(
            "select plate, service_day::text, kind, odometer_km::integer from tracksolid.services"
        ).fetchall() == [("KDK829AGP", "2026-02-10", "full", 233000)]
        assert connection.execute(
            "select reason from tracksolid.rejected_records where source = 'services' order by 1"
        ).fetchall() == [("date",), ("odometer",)]
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("plate,kind\nKDK 829A GP,full\n")
    done = run("import-services", str(lacking))
    assert done.returncode == 2
    assert "no column date, odometer in its first line" in output(done)


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
def test_file_that_is_not_a_job_list_lands_nothing(
    run: Run, database: Database, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "jobs.csv"
    file.write_bytes(content)
    done = run("import-jobs", str(file))
    assert done.returncode == 2, done.stdout
    assert says in output(done)
    with database.connect() as connection:
        assert connection.execute("select count(*) from raw.jobs").fetchone() == (0,)


def test_missing_file_exits_2(run: Run, tmp_path: Path) -> None:
    done = run("import-jobs", str(tmp_path / "nosuch.csv"))
    assert done.returncode == 2
    assert "does not exist" in output(done)


def test_cells_land_verbatim_and_a_bad_cell_loses_only_itself(
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
    done = import_csv(read_csv(file, JOBS), database, landing)
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


def test_line_with_too_many_cells_stays_rejected_after_replay(
    run: Run, database: Database, tmp_path: Path
) -> None:
    """The replay cannot repair this line, and it must not stop at it."""
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,city\n1,Nairobi,Kampala\n")
    assert "0 jobs landed, 1 lines" in run("import-jobs", str(file)).stdout
    done = run("replay-rejected")
    assert done.returncode == 0, done.stderr
    assert "1 rejected records read, 0 records landed" in done.stdout


@pytest.mark.parametrize(("kind", "page"), [(JOBS, "JOBS.md"), (SERVICES, "SERVICES.md")])
def test_documented_columns_are_the_columns_that_are_read(kind: Kind, page: str) -> None:
    """--help, docs and the missing-column warning name the columns that staging reads."""
    columns = (*kind.keys, *kind.others)
    macro = (ROOT / "dbt_fireside/macros/vendor_fields.sql").read_text()
    declared = re.search(rf"^{kind.table}:.*?(?=\n\n|\n\{{%)", macro, re.MULTILINE | re.DOTALL)
    assert declared
    assert tuple(yaml.safe_load(declared[0])[kind.table]) == columns
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    assert tuple(documented) == columns
    command = (ROOT / "operations/cli/arrivals.py").read_text()
    for column in columns:
        assert re.search(rf"\b{column}\b", command), column
