"""Marts agree with their facts and ratios with their parts, unless a join multiplies rows."""

import shutil
from pathlib import Path

import pytest

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

CHECKS = ("test", "--select", "test_name:reconciled", "kpi_ratios_are_ratios_of_sums")
MART = "models/gold/kpi/kpi_fleet_utilisation_daily.sql"


def test_marts_are_reconciled_until_a_join_fans_out(
    built: tuple[Settings, Database], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def dbt(*arguments: str) -> None:
        dbt_runner.run(*built, arguments, lambda *_: None)

    dbt(*CHECKS)
    copy = shutil.copytree(dbt_runner.PROJECT, tmp_path / "dbt_fireside")
    monkeypatch.setattr(dbt_runner, "PROJECT", copy)
    text = (copy / MART).read_text()
    fanned = "    from vehicle_days\n    cross join (values (1), (2)) as twice (number)\n"
    assert text.count("    from vehicle_days\n") == 1
    (copy / MART).write_text(text.replace("    from vehicle_days\n", fanned))
    dbt("run", "--select", Path(MART).stem)
    with pytest.raises(dbt_runner.DbtFailed, match="reconciled_kpi_fleet_utilisation_daily"):
        dbt(*CHECKS)
