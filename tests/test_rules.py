"""Operating rules: a misspelt one is a compiler error."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from databases import Built

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
