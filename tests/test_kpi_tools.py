"""kpi list, show, explain and preview on a fleet whose truth is known."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import command_line
import fleets
import psycopg
import pytest
from databases import Databases
from terminal import on_terminal, plain

from analyst.kpi.catalogue import Catalogue, Unknown
from analyst.kpi.compare import KpiChange, TableChange, kpi_changes, largest, table_changes
from analyst.kpi.explain import explain
from analyst.kpi.preview import SCRATCH, Preview, preview
from analyst.kpi.rules import rules_in
from operations.cli import command
from operations.cli.preview_tables import print_preview
from sandbox import World
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import DBT_ROLE, Database, DatabaseError

Built = tuple[Settings, Database]
Change = Callable[[str, str, str], None]
PROGRAM = (sys.executable, str(ROOT / "orchestrate.py"))
DAY = date(2026, 11, 2)  # a Monday, all of it built


@pytest.fixture(scope="module")
def world() -> World:
    return fleets.polled_world()


@pytest.fixture(scope="module")
def built(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """All is built but the last hours: they have landed since."""
    made = fleets.polled(databases, tmp_path_factory.mktemp("work"))
    return made.settings, made.database


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
        "The operating rule shift_length has no value",
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
            city: [(rule.value, rule.state) for rule in rules_in(gold, known, city)]
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
    assert shown["rules"][0]["name"] == "shift_length"
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


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Change:
    """Replaces text in a copy of the dbt project, which dbt then uses."""
    copy = shutil.copytree(dbt_runner.PROJECT, tmp_path / "dbt_fireside")
    monkeypatch.setattr(dbt_runner, "PROJECT", copy)

    def replace(file: str, old: str, new: str) -> None:
        text = (copy / file).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {file}"
        (copy / file).write_text(text.replace(old, new))

    return replace


@pytest.fixture
def untouched(gold: psycopg.Connection) -> Callable[[], None]:
    """Checks that gold, staging and bookkeeping tables, rows and files, are unchanged."""

    def seen() -> list[tuple]:
        relations = gold.execute(
            "select oid::regclass::text, relkind, relfilenode, pg_get_viewdef(oid) from pg_class"
            " where relkind in ('r', 'v')"
            " and relnamespace in ('dwh_gold'::regnamespace, 'tracksolid'::regnamespace)"
        ).fetchall()
        content = "select md5(string_agg(t::text, '|' order by t::text)) from {} as t"
        return sorted(
            (name, file, gold.execute(content.format(name)).fetchone() if kind == "r" else view)
            for name, kind, file, view in relations
        )

    before = seen()

    def check() -> None:
        assert seen() == before
        schemas = gold.execute("select 1 from pg_namespace where nspname = %s", [SCRATCH])
        assert schemas.fetchone() is None

    return check


def run(built: Built, *models: str) -> Preview:
    return preview(*built, models, lambda *_: None)


def shown(found: Preview, capsys: pytest.CaptureFixture[str]) -> str:
    command.console.width = 160
    print_preview(found)
    return capsys.readouterr().out


def test_preview_without_change_says_so_and_cleans_up_after_a_kill(
    built: Built,
    gold: psycopg.Connection,
    untouched: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    gold.execute(f"set role {DBT_ROLE}")  # whose a preview's tables are
    gold.execute(f"create schema {SCRATCH}")
    gold.execute(f"create table {SCRATCH}.fact_trips as select 1 as left_over")
    gold.execute("reset role")
    found = run(built)
    assert not found.tables
    assert "Nothing is modified since the build of 2026-" in shown(found, capsys)
    untouched()


def test_preview_shows_a_changed_formula_per_city_and_does_not_touch_gold(
    built: Built,
    gold: psycopg.Connection,
    change: Change,
    untouched: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(
        "models/gold/kpi/kpi_fleet_utilisation_daily.sql",
        "        distance_km::numeric(14, 3) as distance_km,",
        "        (2 * distance_km)::numeric(14, 3) as distance_km,",
    )
    found = run(built)
    untouched()
    tables = {table.name: table for table in found.tables}
    assert tables["kpi_fleet_utilisation_daily"].changed > 0
    assert tables["kpi_fleet_utilisation_daily"].added == 0
    assert not any(name.startswith(("fact_", "kpi_driver")) for name in tables)
    expected = gold.execute(
        "select scope_value, max(day), (array_agg(value order by day desc))[1],"
        " count(*) filter (where value != 0)"
        " from dwh_gold.kpi_values where kpi_id = 'fleet.distance' and scope in ('fleet', 'city')"
        " group by scope, scope_value having bool_or(value != 0)"
        " order by scope desc, scope_value"
    ).fetchall()
    assert len(expected) > 2
    assert [change for change in found.kpis if change.kpi_id == "fleet.distance"] == [
        KpiChange("fleet.distance", place, 0, 0, days, day, value, value and 2 * value)
        for place, day, value, days in expected
    ]
    # The week to date is made of the same sums before they are doubled.
    assert {change.kpi_id for change in found.kpis} == {"fleet.distance"}
    assert [value.kpi_id for value in found.largest] == ["fleet.distance"]
    assert all(value.new_value == 2 * value.old_value for value in found.largest)
    text = shown(found, capsys)
    for said in ("kpi_fleet_utilisation_daily", "kpi_values", "fleet.distance", "Fleet"):
        assert said in text


def test_preview_shows_a_changed_rule(
    built: Built, change: Change, untouched: Callable[[], None]
) -> None:
    change("seeds/operating_rules.csv", "shift_length,,9,h", "shift_length,,18,h")
    found = run(built)
    untouched()
    tables = {table.name: table for table in found.tables}
    assert (tables["operating_rules"].added, tables["operating_rules"].gone) == (1, 1)
    halved = [value for value in found.kpis if value.kpi_id == "fleet.utilisation"]
    assert {"Fleet", "Nairobi"} <= {value.city for value in halved}
    for value in halved:
        assert value.old_value is not None
        assert value.new_value is not None
        assert abs(value.old_value - 2 * value.new_value) <= Decimal("0.02")
    assert "fleet.distance" not in {value.kpi_id for value in found.kpis}


def test_preview_shows_a_changed_band(
    built: Built, change: Change, untouched: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = """
            formula: 100 * driving time / (shift_length * vehicles that reported)
            rollup: mean
            direction: higher
            target: null
            warn_at: null
"""
    after = before.replace("warn_at: null", "warn_at: 30")
    change("models/gold/kpi/kpi_fleet_utilisation_daily.yml", before, after)
    found = run(built)
    untouched()
    changed = {table.name: table.changed for table in found.tables if table.differs}
    assert changed["kpi_register"] == 1
    assert changed["kpi_values"] > 0
    assert "No value of a KPI would change" in shown(found, capsys)


def test_preview_of_one_model_reads_only_loads_that_gold_has_read(
    built: Built, gold: psycopg.Connection, untouched: Callable[[], None]
) -> None:
    (waiting,) = gold.execute(
        "select count(*) from raw.track_mileage where _dlt_load_id not in"
        " (select load_id from tracksolid.offered_loads)"
    ).fetchall()[0]
    assert waiting > 0
    found = run(built, "trips")
    untouched()
    tables = {table.name for table in found.tables}
    assert {"trips", "fact_trips", "fact_daily_fleet_metrics", "kpi_values"} <= tables
    assert "alarms" not in tables
    assert [table for table in found.tables if table.differs] == []
    assert list(found.kpis) == []


def test_preview_of_a_failing_model_leaves_nothing_behind(
    built: Built, change: Change, untouched: Callable[[], None]
) -> None:
    change(
        "models/gold/facts/fact_trips.sql", "select * from fact", "select *, 1 / 0 as no from fact"
    )
    with pytest.raises(dbt_runner.DbtFailed, match="fact_trips"):
        run(built)
    untouched()


def test_preview_counts_added_and_removed_rows_with_and_without_a_key(
    gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    with gold.transaction(force_rollback=True):
        gold.execute("create schema other")
        for name in ("kpi_values", "dim_zones"):
            gold.execute(f"create table other.{name} as table dwh_gold.{name}")
        gold.execute("create table other.operating_rules as table tracksolid.operating_rules")
        gold.execute("alter table other.dim_zones add column more text")
        gold.execute("update other.dim_zones set area = '((0,0),(0,1),(1,1))' where kind = 'depot'")
        gold.execute("delete from other.operating_rules where rule like 'speed_limit_%'")
        fleet_distance = "where kpi_id = 'fleet.distance' and scope = 'city'"
        gold.execute(f"delete from other.kpi_values {fleet_distance} and scope_value = 'Mombasa'")
        gold.execute(
            f"update other.kpi_values set scope_value = 'Kisumu' {fleet_distance}"
            " and scope_value = 'Kampala'"
        )
        gold.execute(
            f"update other.kpi_values set value = null {fleet_distance}"
            f" and scope_value = 'Nairobi' and day = '{DAY}'"
        )
        for factor, day in ((4, DAY), (2, DAY - timedelta(days=1))):
            gold.execute(
                f"update other.kpi_values set value = {factor} * value"
                f" where kpi_id = 'fleet.idle_time' and scope = 'fleet' and day = '{day}'"
            )
        (days,) = gold.execute("select count(distinct day) from dwh_gold.kpi_values").fetchall()[0]
        (depots,) = gold.execute(
            "select count(*) from dwh_gold.dim_zones where kind = 'depot'"
        ).fetchall()[0]
        (limits,) = gold.execute(
            "select count(*) from tracksolid.operating_rules where rule like 'speed_limit_%'"
        ).fetchall()[0]
        tables = table_changes(gold, catalogue, catalogue, "other", ())
        kpis = kpi_changes(gold, "other")
        most = largest(gold, "other")
    assert depots > 0
    assert limits > 0
    assert tables == [
        TableChange("dim_zones", 0, 0, depots),
        TableChange("kpi_values", days, 2 * days, 3),
        TableChange("operating_rules", 0, limits, 0),
    ]
    assert [(k.kpi_id, k.city, k.added, k.gone, k.changed) for k in kpis] == [
        ("fleet.distance", "Kampala", 0, days, 0),
        ("fleet.distance", "Kisumu", days, 0, 0),
        ("fleet.distance", "Mombasa", 0, days, 0),
        ("fleet.distance", "Nairobi", 0, 0, 1),
        ("fleet.idle_time", "Fleet", 0, 0, 2),
    ]
    assert [(value.kpi_id, value.day, value.new_value / value.old_value) for value in most] == [
        ("fleet.idle_time", DAY, 4)
    ]


def test_changed_formula_applies_to_all_days(
    built: Built, gold: psycopg.Connection, change: Change
) -> None:
    """A build recomputes only changed days, unless the SQL itself changed."""
    select = (
        "select day, scope, scope_value, distance_km, driving_h"
        " from dwh_gold.kpi_fleet_utilisation_daily order by 1, 2, 3"
    )
    before = gold.execute(select).fetchall()
    formula = "        distance_km::numeric(14, 3) as distance_km,"
    doubled = "        (2 * distance_km)::numeric(14, 3) as distance_km,"
    file = "models/gold/kpi/kpi_fleet_utilisation_daily.sql"
    for old, new, factor in ((formula, doubled, 2), (doubled, formula, 1)):
        change(file, old, new)
        dbt_runner.run(*built, ["run", "--select", Path(file).stem], lambda *_: None)
        assert gold.execute(select).fetchall() == [
            (*where, km and factor * km, hours) for *where, km, hours in before
        ]
