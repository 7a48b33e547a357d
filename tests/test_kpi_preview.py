"""kpi preview: what a change of a model, rule or band would change, on a fleet that is built."""

import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from analyst.kpi.catalogue import Catalogue
from analyst.kpi.compare import KpiChange, TableChange, kpi_changes, largest, table_changes
from analyst.kpi.preview import SCRATCH, Preview, preview
from operations.cli import command
from operations.cli.preview_tables import print_preview
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import DBT_ROLE, Database

Built = tuple[Settings, Database]
Change = Callable[[str, str, str], None]
DAY = date(2026, 11, 2)  # a Monday, all of it built


@pytest.fixture
def gold(built: Built) -> Iterator[psycopg.Connection]:
    with built[1].connect() as connection:
        yield connection


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
            numerator: 100 * shift_driving_h
            denominator: shift_h
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
    built: Built, gold: psycopg.Connection
) -> None:
    catalogue = Catalogue.of_gold(*built)
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
