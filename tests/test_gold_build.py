"""Gold during a build: readers never see fewer rows, a failing build changes nothing, and
incremental builds end with the same tables as a full refresh."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from conftest import NOW, settings_for
from test_order import contents

from loader.poll import Loader
from sandbox import Sandbox, fleet
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

READ = """
    select
        (select count(*) from dwh_gold.fact_daily_fleet_metrics),
        (select count(*) from dwh_gold.fact_trips),
        (select count(*) from dwh_gold.kpi_fleet_utilisation_daily),
        (select count(*) from dwh_gold.kpi_values),
        (select count(*) from dwh_gold.kpi_now where scope = 'fleet'),
        (select count(*) from dwh_gold.vehicle_status_now)
"""
# The number of days that lack a KPI for a city or the fleet: must always be 0.
PARTIAL = """
    select count(*)
    from (
        select from dwh_gold.kpi_values
        group by day, scope, scope_value
        having count(*) != (select count(*) from dwh_gold.kpi_register)
    ) as places
"""


class PollingReader:
    """Reads gold ten times a second, like a dashboard; `seen` holds each result."""

    def __init__(self, database: Database) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.partial = 0
        self.errors: list[str] = []
        self._database = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "PollingReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._database.connect() as connection:
            while not self._stop.wait(0.1):
                try:
                    self.seen += connection.execute(READ.encode()).fetchall()
                    self.partial += connection.execute(PARTIAL.encode()).fetchone()[0]
                except psycopg.Error as error:
                    self.errors.append(str(error))


@pytest.mark.long
def test_gold_is_consistent_at_every_moment_of_a_build(new_database, tmp_path: Path) -> None:
    database: Database = new_database()
    with dbt_runner.in_one_process(Settings(work_dir=tmp_path), database):
        assert_consistent_builds(database, tmp_path)


def assert_consistent_builds(database: Database, tmp_path: Path) -> None:
    world = fleet(seed=3, days=4, devices=16, now=NOW)
    with Sandbox(world, login_interval_seconds=0) as api:
        settings = settings_for(api, database, tmp_path)
        loader = Loader(settings, database)
        loader.poll(["child_list", "device_list", "device_detail", "location_list", "fence_list"])
        first, last = (datetime.fromtimestamp(t, UTC) for t in (world.first, world.now()))
        middle = first + (last - first) / 2

        def build(*options: str) -> None:
            dbt_runner.run(settings, database, ["run", *options], lambda *_: None)

        loader.backfill(first, middle)
        dbt_runner.run(settings, database, ["seed"], lambda *_: None)
        build()
        before = contents(database.connect())
        loader.backfill(middle, last)

    with database.connect() as connection, PollingReader(database) as reader:
        # The new days violate a rule of the last table, so all earlier tables are built by then.
        connection.execute(
            "alter table dwh_gold.kpi_values add constraint impossible"
            f" check (day <= '{middle:%F}') not valid".encode()
        )
        with pytest.raises(dbt_runner.DbtFailed, match="impossible"):
            build()
        after = contents(connection)
        assert after["dwh_gold.kpi_values"] == before["dwh_gold.kpi_values"]
        assert len(after["dwh_gold.fact_trips"]) > len(before["dwh_gold.fact_trips"])

        connection.execute("alter table dwh_gold.kpi_values drop constraint impossible")
        build()
    assert reader.errors == []
    assert reader.partial == 0
    assert len(reader.seen) > 20
    for earlier, later in zip(reader.seen, reader.seen[1:], strict=False):
        assert all(a <= b for a, b in zip(earlier, later, strict=True)), (earlier, later)
    assert min(reader.seen[0]) > 0
    assert reader.seen[-1][3] > reader.seen[0][3]

    stepwise = contents(database.connect())
    build()  # no new data
    assert contents(database.connect()) == stepwise
    build("--full-refresh")
    full = contents(database.connect())
    assert full.keys() == stepwise.keys()
    for table, rows in full.items():
        assert rows == stepwise[table], table
