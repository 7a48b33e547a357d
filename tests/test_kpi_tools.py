"""kpi list, show and explain on a fleet whose truth is known."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import command_line
import fleets
import psycopg
import pytest
from terminal import on_terminal, plain

from analyst.kpi.catalogue import Catalogue, Unknown
from analyst.kpi.explain import explain
from analyst.kpi.rules import rules_in
from sandbox import World
from settings import ROOT, Settings
from warehouse.database import Database, DatabaseError

Built = tuple[Settings, Database]
PROGRAM = (sys.executable, str(ROOT / "orchestrate.py"))
DAY = date(2026, 11, 2)  # a Monday, all of it built


@pytest.fixture(scope="module")
def world() -> World:
    return fleets.polled_world()


@pytest.fixture
def gold(built: Built) -> Iterator[psycopg.Connection]:
    with built[1].connect() as connection:
        yield connection


@pytest.fixture
def catalogue(built: Built) -> Catalogue:
    return Catalogue.of_gold(*built)


def environment(built: Built) -> dict[str, str]:
    """Of a command of the product on this database."""
    settings, database = built
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.url,
        "WORK_DIR": str(settings.work_dir),
        "COLUMNS": "80",
    }


def kpi(built: Built, *arguments: str) -> subprocess.CompletedProcess[str]:
    return in_pipe(built, "kpi", *arguments)


def in_pipe(built: Built, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command_line.run(*arguments, env=environment(built))


def busiest(world: World) -> tuple[str, int]:
    """A device with trips on the day, and how many."""
    trips = {imei: len(truth.trips) for imei in world.devices if (truth := world.truth(imei, DAY))}
    return max(trips.items(), key=lambda item: item[1])


def test_list_shows_every_kpi_with_value_or_reason(built: Built, gold: psycopg.Connection) -> None:
    done = kpi(built, "list", "--csv")
    assert done.returncode == 0, done.stderr
    listed = list(csv.DictReader(io.StringIO(done.stdout)))
    known = gold.execute(
        "select kpi_id, value, gate_reason from dwh_gold.kpi_now where scope = 'fleet'"
        " order by kpi_id"
    ).fetchall()
    assert [row["kpi_id"] for row in listed] == [kpi_id for kpi_id, *_ in known]
    for row, (kpi_id, value, why) in zip(listed, known, strict=True):
        assert (row["fleet_value"] == "") == (value is None), kpi_id
        assert (row["why_empty"] == "") == (value is not None), kpi_id
        assert row["why_empty"] == (why or ""), kpi_id
        if value is not None:
            assert Decimal(row["fleet_value"]) == value, kpi_id
    of_domain = kpi(built, "list", "--domain", "Vehicle health").stdout
    for row in listed:
        assert (row["kpi_id"] in of_domain) == (row["domain"] == "Vehicle health")


def test_show_explains_the_basis_of_a_value(built: Built, gold: psycopg.Connection) -> None:
    done = kpi(built, "show", "fleet.utilisation")
    assert done.returncode == 0, done.stderr
    for said in (
        "100 * driving time / (shift_length * vehicles that reported)",
        "dwh_gold.kpi_fleet_utilisation_daily.utilisation_pct",
        "The day has no shift, or no vehicle reported",
        "ratio of sums: 100 * shift_driving_h / shift_h",
        "none agreed",
        "proposed",
    ):
        assert said in done.stdout
    assert any(
        "shift_length" in line and "  9  h  " in line and "assumed" in line
        for line in done.stdout.splitlines()
    )
    (value,) = gold.execute(
        "select utilisation_pct from dwh_gold.kpi_fleet_utilisation_daily"
        " where scope = 'fleet' and day = %s",
        [DAY],
    ).fetchall()[0]
    (line,) = (line for line in done.stdout.splitlines() if str(DAY) in line)
    assert f"{value:.1f}" in line


def test_show_of_a_live_kpi_says_now(built: Built) -> None:
    done = kpi(built, "show", "quality.fresh")
    assert done.returncode == 0, done.stderr
    assert any(re.match(r"now +\d", line) for line in done.stdout.splitlines())


def test_explain_lists_the_rows_behind_a_value(
    built: Built, world: World, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    imei, trips = busiest(world)
    found = explain(gold, catalogue, catalogue.kpi("fleet.distance"), imei, DAY)
    facts = {fact.fact: fact for fact in found.facts}
    assert len(facts["fact_trips"].rows) == trips > 1
    assert facts["fact_trips"].sums()["distance_km"] == found.value
    assert facts["fact_daily_fleet_metrics"].rows[0]["distance_km"] == found.value
    truth = world.truth(imei, DAY)
    assert truth is not None
    assert abs(float(found.value) * 1000 - truth.distance_m) <= 1 + 0.5 * trips  # type: ignore[arg-type]


def test_explain_of_a_weekly_kpi_lists_the_rows_since_monday(
    world: World, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    imei, _ = busiest(world)
    tuesday = DAY + timedelta(days=1)
    found = explain(gold, catalogue, catalogue.kpi("fleet.distance_week"), imei, tuesday)
    (trips,) = (fact for fact in found.facts if fact.fact == "fact_trips")
    assert {row["day"] for row in trips.rows} == {DAY, tuesday}
    assert trips.sums()["distance_km"] == found.value


def test_explain_lists_what_arrived_that_day_and_does_not_count(
    world: World, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    imei, _ = busiest(world)
    with gold.transaction(force_rollback=True):
        gold.execute(
            "insert into dwh_gold.rejection_days"
            " (day, day_start, scope, scope_value, source, reason, is_kept, records_count)"
            " values (%s, %s, 'device', %s, 'push_gps', 'gpsTime', false, 3)",
            [DAY, f"{DAY} 00:00+03", imei],
        )
        (late,) = (
            row
            for row in explain(
                gold, catalogue, catalogue.kpi("fleet.distance"), imei, DAY
            ).rejections.rows
            if row["source"] == "push_gps"
        )
    assert late == {
        "day": DAY,
        "imei": imei,
        "source": "push_gps",
        "reason": "gpsTime",
        "is_kept": False,
        "records_count": 3,
    }


def test_explain_lists_the_reports_that_a_better_one_replaces(
    world: World, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    """An earlier report of a trip began 9 s before it."""
    imei, _ = busiest(world)
    trip = "select min(start_time) from tracksolid.trips where imei = %s and start_time >= %s"
    (start,) = gold.execute(trip.encode(), [imei, f"{DAY} 00:00+03"]).fetchone()
    with gold.transaction(force_rollback=True):
        gold.execute(
            "insert into tracksolid.trip_reports (imei, start_time, end_time, until_time, source,"
            " source_rank, distance_km, fetched_at, record_id, load_id)"
            " select imei, start_time - interval '9 s', end_time, until_time, source, source_rank,"
            " 12, fetched_at - interval '1 h', 'x', 'l' from tracksolid.trip_reports"
            " where imei = %s and start_time = %s",
            [imei, start],
        )
        found = explain(gold, catalogue, catalogue.kpi("fleet.distance"), imei, DAY)
    (earlier,) = found.superseded.rows
    assert (earlier["kind"], earlier["distance_km"]) == ("trip", 12)
    assert (earlier["reason"], earlier["better_start_time"]) == ("reported again later", start)


def test_explain_accepts_id_plate_or_imei(
    built: Built, world: World, gold: psycopg.Connection
) -> None:
    imei, trips = busiest(world)
    (names,) = gold.execute(
        "select vehicle_id, vehicle_number, imei from dwh_gold.dim_vehicles where imei = %s", [imei]
    ).fetchall()
    texts = {
        kpi(built, "explain", "fleet.utilisation", "--vehicle", name, "--day", str(DAY)).stdout
        for name in filter(None, names)
    }
    assert len(texts) == 1
    (text,) = texts
    for said in ("Utilisation rate", "shift_length", "assumed", f"fact_trips: {trips} rows", imei):
        assert said in text


def test_every_kpi_of_a_vehicle_can_be_explained(
    world: World, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    imei, _ = busiest(world)
    explained = 0
    for known in catalogue.kpis.values():
        try:
            found = explain(gold, catalogue, known, imei, DAY)
        except Unknown:
            scopes = gold.execute(f"select distinct scope from dwh_gold.{known.mart.name}")
            assert ("vehicle",) not in scopes.fetchall(), known.kpi_id
            continue
        explained += 1
        assert {fact.fact for fact in found.facts} == {
            name for name in known.mart.reads if name.startswith("fact_")
        }
        assert {rule.name for rule in found.rules} == set(known.rules), known.kpi_id
    assert explained > 40


def test_city_rule_overrides_the_general_rule(
    gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    known = catalogue.kpi("fleet.utilisation")
    with gold.transaction(force_rollback=True):
        gold.execute(
            "insert into tracksolid.operating_rules (rule, city, value, unit, agreed)"
            " values ('shift_length', 'Mombasa', 8, 'h', true),"
            " ('shift_length', 'Kisumu', 1, 'h', true)"
        )
        held = {
            city: [
                (rule.value, rule.state)
                for rule in rules_in(gold, known, city)
                if rule.name == "shift_length"
            ]
            for city in ("Mombasa", "Nairobi")
        }
    assert held == {"Mombasa": [(8, "agreed")], "Nairobi": [(9, "assumed")]}


@pytest.mark.parametrize("name", ["list", "show", "explain", "status", "doctor"])
def test_tables_fit_80_columns_and_are_whole_in_a_pipe(
    built: Built, world: World, catalogue: Catalogue, name: str
) -> None:
    imei, _ = busiest(world)
    explained = ("fleet.utilisation", "--vehicle", imei, "--day", str(DAY))
    arguments = {
        "list": ("kpi", "list"),
        "show": ("kpi", "show", "fleet.first_departure"),
        "explain": ("kpi", "explain", *explained),
    }.get(name, (name,))
    piped = in_pipe(built, *arguments).stdout
    seen = plain(on_terminal([*PROGRAM, *arguments], environment(built), columns=80))
    assert [line for line in seen.splitlines() if len(line) > 80] == []
    assert "…" not in piped + seen.replace("app key …", "")
    for text in (piped, seen):
        words = set(text.split())
        if name == "list":
            lines = [line for line in text.splitlines() if line.strip()]
            ids = [line.split()[0] for line in lines]
            assert all(ids.count(kpi_id) == 1 for kpi_id in catalogue.kpis)
            known = (*catalogue.kpis, *catalogue.domains(), "kpi ", "Not shown", "Daily values are")
            assert [line for line in lines if not line.startswith(known)] == [], "a second line"
        if name == "explain":
            assert imei in words
    if name in ("show", "explain"):
        # Each word of the pipe is on the terminal too; there, headings have spaces for "_".
        assert set(piped.replace("_", " ").split()) == set(seen.replace("_", " ").split())


def test_no_color_is_respected(built: Built) -> None:
    program, given = [*PROGRAM, "doctor"], environment(built)
    coloured = re.compile(r"\x1b\[(?:\d+;)*3[0-7]m")
    assert coloured.search(on_terminal(program, given))
    assert not coloured.search(on_terminal(program, given | {"NO_COLOR": "1"}))


def test_kpi_show_and_the_list_say_a_time_of_day_as_a_clock_does(
    built: Built, gold: psycopg.Connection
) -> None:
    (hours,) = gold.execute(
        "select value from dwh_gold.kpi_now"
        " where kpi_id = 'fleet.first_departure' and scope = 'fleet'"
    ).fetchall()[0]
    minutes = round(hours * 60)
    expected = f"{minutes // 60:02d}:{minutes % 60:02d}"
    assert re.search(
        rf"^fleet +{expected} ", kpi(built, "show", "fleet.first_departure").stdout, re.M
    )
    assert re.search(rf"^fleet.first_departure .* {expected} ", kpi(built, "list").stdout, re.M)


def test_kpi_json_has_plain_numbers_under_documented_names(
    built: Built, world: World, gold: psycopg.Connection
) -> None:
    imei, trips = busiest(world)
    page = (ROOT / "docs/JSON.md").read_text()
    listed = json.loads(kpi(built, "list", "--json").stdout)["kpis"]
    known = gold.execute(
        "select kpi_id, value::float8 from dwh_gold.kpi_now"
        " where scope = 'fleet' and day is not null"
    ).fetchall()
    values = {row["kpi_id"]: row["fleet_value"] for row in listed}
    assert {kpi_id: values[kpi_id] for kpi_id, _ in known} == dict(known)
    shown = json.loads(kpi(built, "show", "fleet.utilisation", "--json").stdout)
    named = {rule["name"] for rule in shown["rules"]}
    assert named == {"shift_length", "shift_first_weekday", "shift_last_weekday"}
    assert {value["place"] for value in shown["values"]} >= {"Fleet", "Nairobi"}
    asked = ("fleet.distance", "--vehicle", imei, "--day", str(DAY), "--json")
    explained = json.loads(kpi(built, "explain", *asked).stdout)
    facts = {fact["fact"]: fact for fact in explained["facts"]}
    assert len(facts["fact_trips"]["rows"]) == trips
    assert facts["fact_trips"]["sums"]["distance_km"] == pytest.approx(explained["value"])
    assert all(row["start_time"].endswith("+00:00") for row in facts["fact_trips"]["rows"])
    for document in (listed[0], shown, explained):
        assert [name for name in document if f"`{name}`" not in page] == []


def test_status_and_doctor_json_have_documented_names(built: Built) -> None:
    page = (ROOT / "docs/JSON.md").read_text()
    done = in_pipe(built, "status", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert [name for name in document if f"`{name}`" not in page] == []
    done = in_pipe(built, "doctor", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 1  # no account of the API is set here
    assert document["ok"] is False
    failed = [check["what"] for check in document["checks"] if not check["ok"]]
    assert "settings" in failed
    assert [name for name in document["checks"][0] if f"`{name}`" not in page] == []


def test_a_json_error_is_on_stderr_alone(built: Built) -> None:
    done = kpi(built, "show", "fleet.utilization", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no KPI" in done.stderr


def test_version_is_that_of_pyproject(built: Built) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert in_pipe(built, "--version").stdout.split() == [project["name"], project["version"]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "fleet.utilization"], "no KPI 'fleet.utilization'; there are: fleet.utilisation"),
        (["list", "--domain", "Fuel"], "there is no domain 'Fuel'; there are: "),
        (["explain", "fleet.distance", "--vehicle", "X", "--day", str(DAY)], "there is no vehicle"),
        (["preview", "fact_trip"], "no model or seed 'fact_trip'; there are: fact_trips"),
    ],
)
def test_unknown_name_exits_2(built: Built, arguments: list[str], says: str) -> None:
    done = kpi(built, *arguments)
    assert done.returncode == 2, done.stdout
    assert says in " ".join(done.stderr.replace("│", " ").split())


def test_missing_day_or_scope_lists_what_exists(
    world: World, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    imei, _ = busiest(world)
    with pytest.raises(Unknown, match=r"'2026-01-01'; there are: 2026-11-"):
        explain(gold, catalogue, catalogue.kpi("fleet.distance"), imei, date(2026, 1, 1))
    per_fleet = next(
        known for known in catalogue.kpis.values() if known.mart.name == "kpi_pipeline_daily"
    )
    with pytest.raises(Unknown, match="'vehicle'; there are: fleet"):
        explain(gold, catalogue, per_fleet, imei, DAY)


def test_kpi_tools_before_the_first_build_say_what_to_do(
    database: Database, work_dir: Path
) -> None:
    with pytest.raises(DatabaseError, match=r"run orchestrate\.py build"):
        Catalogue.of_gold(Settings.model_validate({"work_dir": work_dir}), database)
