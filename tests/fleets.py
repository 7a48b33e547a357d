"""Whole fleets for tests: loaded over HTTP, pushed, built with dbt."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conftest import settings_for
from test_drain import FORM, MemorySpool, form

from loader.drain import drain
from loader.landing import Landing
from loader.poll import Loader
from sandbox import Fault, Sandbox, World
from sandbox.sent_pushes import pushes
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database


def load(
    world: World,
    database: Database,
    work_dir: Path,
    storm: Iterable[tuple[str, Fault]] = (),
    *,
    pushed: bool = False,
) -> None:
    """Registers and all windows that the world knows, and all that a platform would push."""
    with Sandbox(world, login_interval_seconds=0) as api:
        for method, fault in storm:
            api.misbehave(method, fault, rate=0.03, seconds=0.1)
        settings = settings_for(api, database, work_dir)
        loader = Loader(settings, database)
        names = ["child_list", "device_list", "device_detail", "location_list", "fence_list"]
        summaries = loader.poll([*names, "fence_detail"])
        if pushed:
            drain(spooled(world), Landing(database, settings.work_dir))
        start, end = (datetime.fromtimestamp(t, UTC) for t in (world.first, world.now()))
        summaries += loader.backfill(start, end + timedelta(seconds=1))
        assert [fault for summary in summaries for fault in summary.errors] == []


def build(database: Database, work_dir: Path, *options: str, unit_tests: bool = False) -> None:
    """dbt build with its tests; those of units see no data, so that once is enough."""
    if not unit_tests:
        options += ("--exclude-resource-type", "unit_test")
    settings = Settings(work_dir=work_dir)
    dbt_runner.run(settings, database, ["build", *options], lambda *_: None)


def spooled(world: World) -> MemorySpool:
    """All that a platform would have pushed, 50 records of a path at a time."""
    waiting = defaultdict(list)
    for path, record in pushes(world, world.first, world.now()):
        waiting[path].append(json.dumps(record).encode())
    return MemorySpool(
        [
            (path, FORM, form(token=b"t", data_list=b"[" + b",".join(records[at : at + 50]) + b"]"))
            for path, records in waiting.items()
            for at in range(0, len(records), 50)
        ]
    )


def one(database: Database, query: str, *values: object) -> object:
    with database.connect() as connection:
        row = connection.execute(query.encode(), values).fetchone()
    return row and row[0]


def land_new_fixes(database: Database) -> None:
    """A sweep in which all devices have moved on to this moment, except those without a fix."""
    with database.connect() as connection:
        connection.execute(
            """
            with landed as (
                insert into raw.location_list
                select distinct on (imei) (jsonb_populate_record(answer, jsonb_build_object(
                    'body', (body::jsonb || jsonb_build_object(
                        'gpsTime', to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                    ))::text,
                    'fetched_at', now(), 'record_id', gen_random_uuid(),
                    '_dlt_load_id', extract(epoch from now())::text
                ))).*
                from raw.location_list as answer
                order by imei, fetched_at desc
                returning _dlt_load_id
            )
            insert into raw._dlt_loads (load_id, status, inserted_at)
            select distinct _dlt_load_id, 0, now() from landed
            """
        )
