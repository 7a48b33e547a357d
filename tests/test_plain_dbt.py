"""dbt as its documentation says, started in a shell: it harms no build of the product."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm_dbt
from shared import Shared
from waiting import eventually

from settings import Settings
from warehouse import dbt_process, dbt_runner
from warehouse.database import DBT_ROLE, Database

DBT = Path(sys.executable).with_name("dbt")
MART = "kpi_fleet_utilisation_daily"
WAITING = "select from pg_locks where locktype = 'advisory' and not granted and database = (%s)"
THIS = "select oid from pg_database where datname = current_database()"


@pytest.fixture
def plain(built: tuple[Settings, Database], shared: Shared) -> Iterator[dbt_process.Process]:
    """dbt in a shell of `orchestrate.py exec bash`."""
    environment = dbt_runner.environment(*built)
    warm_dbt.give_parse(shared, environment)
    with warm_dbt.Forked(environment) as process:
        yield process


def dbt(process: dbt_process.Process, *words: str) -> str:
    printed, is_done = dbt_process.run_command(process, words, lambda *_: None)
    assert is_done, "\n".join(printed)
    return "\n".join(printed)


@pytest.mark.long
def test_parse_and_ls_need_neither_settings_nor_a_database(tmp_path: Path) -> None:
    command = [DBT, "ls", "--quiet", "--resource-type", "model", "--target-path", tmp_path]
    done = subprocess.run(
        [*command, "--log-path", tmp_path],
        cwd=dbt_runner.PROJECT,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"dbt_fireside.gold.kpi.{MART}" in done.stdout.splitlines()


def test_show_gives_all_days_of_a_mart(
    built: tuple[Settings, Database], plain: dbt_process.Process
) -> None:
    query = f"select count(*)::integer as rows_count from {{{{ ref('{MART}') }}}}"
    with built[1].connect() as connection:
        known = connection.execute(f"select count(*) from dwh_gold.{MART}".encode()).fetchone()
    said = dbt(plain, "show", "--quiet", "--select", MART, "--limit", "-1", "--output", "json")
    assert known
    assert len(json.loads(said)["show"]) == known[0] > 0
    said = dbt(plain, "show", "--quiet", "--inline", query, "--output", "json")
    assert json.loads(said)["show"] == [{"rows_count": known[0]}]


def test_a_run_waits_for_a_build_of_the_product_and_leaves_its_tables_to_their_owner(
    built: tuple[Settings, Database], plain: dbt_process.Process
) -> None:
    database = built[1]
    run = threading.Thread(target=dbt, args=(plain, "run", "--full-refresh", "--select", MART))

    def builds() -> list[tuple[int]]:
        return connection.execute("select count(*) from tracksolid.builds").fetchall()

    with database.connect() as connection:
        before = builds()
        with dbt_runner.alone(database):
            run.start()
            eventually(
                lambda: connection.execute(WAITING.replace("%s", THIS).encode()).fetchall(),
                "a session of plain dbt that waits for the lock",
            )
            assert builds() == before
        run.join()
        assert builds() != before
        owner = connection.execute("select tableowner from pg_tables where tablename = %s", [MART])
        assert owner.fetchall() == [(DBT_ROLE,)]


def test_a_build_reports_the_rows_that_it_writes(built: tuple[Settings, Database]) -> None:
    settings, database = built
    runs = (["--full-refresh", "--select", MART], ["--select", "kpi_values"])
    for options in runs:  # the second computes all days again
        dbt_runner.run(settings, database, ["run", *options], lambda *_: None)
    results = json.loads((dbt_runner.target(settings, database) / "run_results.json").read_text())
    (written,) = [
        result["adapter_response"]["rows_affected"]
        for result in results["results"]
        if result["unique_id"].endswith(".kpi_values")
    ]
    with database.connect() as connection:
        assert connection.execute("select count(*) from dwh_gold.kpi_values").fetchall() == [
            (written,)
        ]
