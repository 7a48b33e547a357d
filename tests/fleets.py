"""Whole fleets for tests: loaded over HTTP, pushed, built with dbt, each once for all workers."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from conftest import NOW, settings_for
from databases import Built, Databases
from test_drain import FORM, MemorySpool, form

from loader.drain import drain
from loader.landing import Landing
from loader.poll import Loader
from sandbox import Fault, Sandbox, World, fleet
from sandbox.sent_pushes import pushes
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

DEVICES = ("child_list", "device_list")
REGISTERS = (*DEVICES, "device_detail", "location_list", "fence_list")
NOT_BUILT = timedelta(hours=4)
PRICES = {"Nairobi": 180, "Mombasa": 186, "Kampala": 5200}
# What an analyst would fill in: the seeds of a client who has agreed on everything.
ASSIGN = """
    insert into tracksolid.vehicles (imei, assigned_city, cost_centre) values (%s, %s, %s)
"""
PRICE = """
    update tracksolid.operating_rules set value = %s where rule = 'fuel_price' and city = %s
"""


def registered(databases: Databases, world: World) -> Database:
    """A database that knows the devices of conftest's world, and nothing else of them."""

    def fill(database: Database, work_dir: Path) -> None:
        with Sandbox(world, login_interval_seconds=0) as api:
            Loader(settings_for(api, database, work_dir), database).poll(DEVICES)
        with database.connect() as connection:  # another stand-in does not know this one's token
            connection.execute("delete from tracksolid.api_token_cache")

    return databases.clone("registered", databases.with_raw, fill)


@cache
def priced_world() -> World:
    return fleet(seed=11, days=5, devices=60, now=NOW)


def priced(databases: Databases) -> Database:
    """A copy of a fleet polled and pushed, with assigned cities, cost centres and prices."""
    world = priced_world()

    def fill(database: Database, work_dir: Path) -> None:
        load(world, database, work_dir, pushed=True)
        settings = Settings(work_dir=work_dir)
        with dbt_runner.in_one_process(settings, database):
            dbt_runner.run(settings, database, ["seed"], lambda *_: None)
            with database.connect() as connection:
                for number, device in enumerate(world.devices.values()):
                    city = device.account.rpartition("_")[2].title()
                    assigned = "Nairobi" if city == "Fleet" else city
                    given = [device.imei, assigned, f"Team {number % 3}"]
                    connection.execute(ASSIGN.encode(), given)
                for city, price in PRICES.items():
                    connection.execute(PRICE.encode(), [price, city])
            build(database, work_dir, "--exclude-resource-type", "seed")

    return databases.clone("priced", databases.with_raw, fill)


@cache
def polled_world() -> World:
    """Three days of October and four of November; the last is a Wednesday."""
    now = int(datetime(2026, 11, 4, 9, 30, tzinfo=UTC).timestamp())
    return fleet(seed=11, days=6, devices=40, now=now)


def polled(databases: Databases, work_dir: Path) -> Built:
    """A copy of a fleet that is only polled, on the product's own seeds.

    All is built but what landed last: the windows of its last four hours.
    """
    world = polled_world()

    def fill(database: Database, folder: Path) -> None:
        with Sandbox(world, login_interval_seconds=0) as api:
            loader = Loader(settings_for(api, database, folder), database)
            loader.poll([*REGISTERS, "fence_detail"])
            start, end = (datetime.fromtimestamp(t, UTC) for t in (world.first, world.now()))
            loader.backfill(start, end - NOT_BUILT)
            build(database, folder)
            summaries = loader.backfill(end - NOT_BUILT, end + timedelta(seconds=1))
        assert [fault for summary in summaries for fault in summary.errors] == []

    database = databases.clone("polled", databases.with_raw, fill)
    # As the command line knows it.
    return databases.with_target("polled", Database(database.url), Settings(work_dir=work_dir))


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
        summaries = loader.poll([*REGISTERS, "fence_detail"])
        if pushed:
            drain(
                spooled(pushes(world, world.first, world.now())),
                Landing(database, settings.work_dir),
            )
        start, end = (datetime.fromtimestamp(t, UTC) for t in (world.first, world.now()))
        summaries += loader.backfill(start, end + timedelta(seconds=1))
        assert [fault for summary in summaries for fault in summary.errors] == []


def build(database: Database, work_dir: Path, *options: str) -> None:
    """dbt build with its tests; those of units see no data: test_models.py runs them."""
    options += ("--exclude-resource-type", "unit_test")
    settings = Settings(work_dir=work_dir)
    dbt_runner.run(settings, database, ["build", *options], lambda *_: None)


def spooled(messages: Iterable[tuple[str, dict]]) -> MemorySpool:
    """Pushes (path, record) as a platform would send them, 50 records of a path at a time."""
    waiting = defaultdict(list)
    for path, record in messages:
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
