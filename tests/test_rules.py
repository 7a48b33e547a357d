"""A misspelt operating rule is an error; an edit of one recomputes what depends on it alone."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from databases import RUN_TABLES, Built
from test_order import DELIVERIES, contents, deliver

from operations.service.pending import what_is_outdated
from warehouse import dbt_runner

Change = Callable[[str, str, str], None]


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


def run(built: Built, *arguments: str) -> None:
    dbt_runner.run(built.settings, built.database, arguments, lambda *_: None)


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("models/gold/daily/vehicle_days.sql", "rule('moved_distance')", "rule('moved_distanse')"),
        ("models/gold/facts/vehicle_trail.sql", "'speed_limit_' ||", "'sped_limit_' ||"),
        ("models/gold/kpi/kpi_dispatch_daily.yml", "[overnight_distance]", "[night_distance]"),
    ],
)
def test_a_misspelt_rule_is_a_compiler_error_that_names_file_and_rule(
    built_empty: Built, change: Change, file: str, right: str, wrong: str
) -> None:
    change(file, right, wrong)
    name = re.findall(r"\w+", wrong)[-1]
    # The rules of a KPI's meta are read by the register.
    model = Path(file).stem if file.endswith("sql") else "kpi_register"
    for command in ("compile", "build"):  # a build meets it first in a unit test
        with pytest.raises(dbt_runner.DbtFailed, match=f"{file}: .*{name}"):
            run(built_empty, command, "--select", model)


@pytest.mark.parametrize("key", ["numerator", "denominator", "unit"])
def test_a_ratio_without_its_parts_is_a_compiler_error(
    built_empty: Built, change: Change, key: str
) -> None:
    file = "models/gold/kpi/kpi_dispatch_daily.yml"
    text = (dbt_runner.PROJECT / file).read_text()
    (line,) = re.findall(
        f'            {key}: (?:100 .*outside_city_count|checked_count|"%")\n', text
    )
    change(file, line, "")
    with pytest.raises(dbt_runner.DbtFailed, match=f"{file}: .*city_drift_pct lacks the key {key}"):
        run(built_empty, "compile", "--select", "kpi_register")


def test_a_changed_type_is_a_compiler_error_that_names_column_and_command(
    built_empty: Built, change: Change
) -> None:
    """PostgreSQL would round new values to the old type without a word."""
    file = "models/gold/facts/fact_nights.yml"
    column = "name: latitude\n        data_type: numeric"
    change(file, f"{column}(9, 6)", f"{column}(12, 9)")
    model = ("run", "--select", "fact_nights")
    command = r"run orchestrate\.py build --full-refresh --select fact_nights\+"
    error = rf"{file}: latitude is numeric\(12, 9\) and was numeric\(9,6\): {command}"
    with pytest.raises(dbt_runner.DbtFailed, match=error):
        run(built_empty, *model)
    run(built_empty, *model, "--full-refresh")
    run(built_empty, *model)


def test_an_edit_recomputes_the_models_that_name_the_rule_or_use_the_macro(
    built_empty: Built, change: Change
) -> None:
    def restarted() -> set[str]:
        """The models with a fingerprint that read all builds again in the last run."""
        run(built_empty, "seed", "--select", "operating_rules")
        run(built_empty, *RUN_TABLES, "config.incremental_strategy:replace_all")
        with built_empty.database.connect() as connection:
            found = connection.execute(
                "select model from tracksolid.claims"
                " where content_id is not null and after_build_id = 0"
            )
            return {model for (model,) in found}

    assert restarted() == set()
    change("seeds/operating_rules.csv", "active_engine_time,,5,", "active_engine_time,,6,")
    assert restarted() == {"kpi_fleet_utilisation_daily"}
    # Through rule_for(), which the fact calls with the class of the vehicle.
    change("seeds/operating_rules.csv", "speed_limit_van,,80,", "speed_limit_van,,81,")
    assert restarted() == {"fact_driving_events", "kpi_driver_behaviour_daily"}
    change(
        "macros/places_and_days.sql",
        "            zone.kind = 'depot'\n",
        "            zone.kind in ('depot')\n",
    )
    affected = restarted()
    assert affected >= {"fact_trips", "kpi_dispatch_daily"}
    assert affected.isdisjoint({"fact_alarms", "fact_driving_events", "kpi_fuel_cost_daily"})


@pytest.mark.long
def test_an_edited_rule_judges_stored_rows_once_raw_is_complete(
    built_empty: Built, change: Change
) -> None:
    """While rows of raw are in archived files their rows stay, and doctor says what to do."""
    imei = "860000000000001"
    judged = """
        select
            count(*) filter (where gps_time < '2020-01-01'),
            count(*) filter (where gps_time > fetched_at + interval '1 hour'),
            count(refused_latitude),
            (select count(*) from tracksolid.rejected_records),
            (select count(*) from tracksolid.trips where start_time between
                '2026-04-12 12:20Z' and '2026-04-12 12:25Z'),
            (select count(*) from tracksolid.alarms where alarm_type = '48')
        from tracksolid.position_history
    """
    with built_empty.database.connect() as connection:
        deliver(connection, 1, [(imei, number) for number in range(len(DELIVERIES))])
        run(built_empty, *RUN_TABLES)
        before = connection.execute(judged.encode()).fetchone()
        assert before is not None
        assert before[:3] == (0, 0, 3)
        connection.execute(
            "insert into raw.archived_files (file, table_name, loads, row_count)"
            " values ('/elsewhere/x.parquet', 'track_list', '{1.0}', 1)"
        )
        for rule, old, new in [
            ("clock_ahead", "5", "300"),
            ("gps_epoch", "7167", "9000"),
            ("fastest_car", "200", "9000000"),
        ]:
            change("seeds/operating_rules.csv", f"{rule},,{old},", f"{rule},,{new},")
        run(built_empty, "seed", "--select", "operating_rules")
        run(built_empty, *RUN_TABLES)
        assert connection.execute(judged.encode()).fetchone() == before
        outdated = what_is_outdated(connection) or ""
        assert "position_history" in outdated
        assert "run orchestrate.py restore-archive, then orchestrate.py build" in outdated

        connection.execute("delete from raw.archived_files")
        assert "run orchestrate.py build" in (what_is_outdated(connection) or "")
        for rule, old, new in [("report_touch", "60", "1"), ("same_alarm", "10", "1")]:
            change("seeds/operating_rules.csv", f"{rule},,{old},", f"{rule},,{new},")
        run(built_empty, "seed", "--select", "operating_rules")
        run(built_empty, *RUN_TABLES)
        assert what_is_outdated(connection) is None
        after = connection.execute(judged.encode()).fetchone()
        assert after is not None
        assert after[:3] == (1, 1, 0)
        incremental = contents(connection)
        run(built_empty, "run", "--full-refresh")
        assert contents(connection) == incremental
