"""Runs the whole project on a server with TimescaleDB, PostGIS or Citus and on plain PostgreSQL.

`make test-engines DATABASE_URL=…` names the server. The tests create a database there and drop it.
Without a server they are skipped, because no Python package contains these extensions.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fleets import build, load
from psycopg import sql
from test_dashboard_queries import answer, choices, reading
from test_order import contents

from grafana.kit.files import ALL_QUERIES
from loader.landing import Landing
from loader.raw_tables import SCHEMAS
from operations.maintenance import archive, timescale
from sandbox import fleet
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import Database

GIVEN = os.environ.get("ENGINES_DATABASE_URL")
pytestmark = pytest.mark.skipif(
    not GIVEN, reason="no server with extensions; run make test-engines DATABASE_URL=postgresql://…"
)
AGE = timedelta(days=12)
HAS_CITUS = "select current_setting('shared_preload_libraries') like '%citus%'"
OFFERS_POSTGIS = "select exists (select from pg_available_extensions where name = 'postgis')"
# Reads and writes of the tables that hold compressed rows, from PostgreSQL's statistics.
TOUCHED = """
    select
        format('%I.%I', of.hypertable_schema, of.hypertable_name),
        stat.relname,
        stat.seq_scan + coalesce(stat.idx_scan, 0) + stat.n_tup_ins + stat.n_tup_del
    from _timescaledb_catalog.chunk as chunk
    inner join _timescaledb_catalog.chunk as compressed
        on chunk.compressed_chunk_id = compressed.id
    inner join timescaledb_information.chunks as of
        on chunk.schema_name = of.chunk_schema and chunk.table_name = of.chunk_name
    inner join pg_stat_all_tables as stat
        on compressed.schema_name = stat.schemaname and compressed.table_name = stat.relname
    order by 1, 2
"""


DISTRIBUTED = {
    *("fact_trips", "fact_stops", "fact_alarms", "fact_zone_visits", "fact_driving_events"),
    *("fact_hourly_trail", "fact_daily_fleet_metrics"),
}
ON_ALL_NODES = {
    *("dim_dates", "dim_drivers", "dim_vehicles", "dim_zones"),
    *("alarm_types", "kpi_feedback", "operating_rules", "vehicles", "zones"),
}


@pytest.fixture
def given() -> Iterator[Database]:
    """A new, empty database on the given server."""
    server = Database(str(GIVEN))
    name = f"fireside_engines_{uuid4().hex[:12]}"
    database = server.sibling(name)
    try:
        yield database
    finally:
        with server.connect() as connection:
            connection.execute(f"drop database {name} with (force)".encode())


def prepare(database: Database) -> None:
    """Migrate. The Citus extension is created here, as its administrator would do; others by us."""
    with database.connect() as connection:
        if has_citus := connection.execute(HAS_CITUS.encode()).fetchone() == (True,):
            connection.execute("create extension citus")
    database.prepare()
    if has_citus:
        # Citus connects from node to node as the querying role.
        with database.connect() as connection:
            connection.execute("alter role fireside_dbt login")


def grant_on_citus(database: Database) -> None:
    """Run the SQL that docs/SCALING.md gives the Citus administrator for after the first build."""
    citus_section = (ROOT / "docs/SCALING.md").read_text().partition("## Citus")[2]
    statements = citus_section.partition("```sql\n")[2].partition("```")[0]
    with database.connect() as connection:
        connection.execute(statements.encode())


def run_dashboard_queries(database: Database) -> None:
    """Run every query of every dashboard."""
    with database.connect() as connection, reading(connection) as cursor:
        for values in choices(connection).values():
            for query in ALL_QUERIES:
                answer(cursor, query, values)


def extensions(database: Database) -> set[str]:
    with database.connect() as connection:
        return {name for (name,) in connection.execute("select extname from pg_extension")}


def on_nodes(database: Database, method: str) -> set[str]:
    """Tables distributed by Citus: method h is hash-distributed, n are reference tables."""
    with database.connect() as connection:
        found = connection.execute(
            "select relname from pg_dist_partition"
            " inner join pg_class on logicalrelid = oid where partmethod = %s",
            [method],
        )
        return {name for (name,) in found}


def copy(source: Database, target: Database, loads: list[str]) -> None:
    """Copy the raw rows of these loads; the loads become complete last."""
    with source.connect() as old, target.connect() as new:
        tables = [(table, "_dlt_load_id") for table in SCHEMAS]
        for table, key in [*tables, ("load_times", "load_id"), ("_dlt_loads", "load_id")]:
            names = old.execute(f"select * from raw.{table} limit 0".encode()).description
            columns = sql.SQL(", ").join(sql.Identifier(name.name) for name in names or ())
            some = sql.SQL("copy (select {} from raw.{} where {} = any({})) to stdout").format(
                columns, sql.Identifier(table), sql.Identifier(key), loads
            )
            into = sql.SQL("copy raw.{} ({}) from stdin").format(sql.Identifier(table), columns)
            with old.cursor().copy(some) as reader, new.cursor().copy(into) as writer:
                for block in reader:
                    writer.write(block)


def make_older(source: Database) -> None:
    """Move arrival times back to when the data happened."""
    with source.connect() as connection:
        for table, schema in SCHEMAS.items():
            for name in set(schema.names) & {"fetched_at", "started_at"}:
                connection.execute(f"update raw.{table} set {name} = {name} - %s".encode(), [AGE])
        connection.execute(
            "update raw.load_times set first_fetched_at = first_fetched_at - %s", [AGE]
        )


def sweep(database: Database, load_id: str, now: datetime) -> None:
    """Insert one minute's data: a fix of every device, and a trips call up to now."""
    with database.connect() as connection:
        connection.execute(
            "insert into raw.location_list"
            " (body, imei, request, fetched_at, record_id, _dlt_load_id)"
            " select json_build_object("
            "  'imei', imei, 'gpsTime', %(gps)s::text, 'lat', -1.2, 'lng', 36.8, 'speed', 30),"
            " imei, '{}', %(now)s, %(load)s || imei, %(load)s from tracksolid.devices",
            {"gps": f"{now:%Y-%m-%d %H:%M:%S}", "now": now, "load": load_id},
        )
        connection.execute(
            "insert into raw.api_calls (call_id, endpoint, method, account, request, imeis,"
            " window_start, window_end, started_at, duration_ms, code, records, attempt,"
            " _dlt_load_id) values (%(load)s, 'track_mileage', 'jimi.device.track.mileage', 'a',"
            " '{}', 'x', %(now)s::timestamptz - interval '1 day', %(now)s, %(now)s, 1, '0', 0, 1,"
            " %(load)s)",
            {"now": now, "load": load_id},
        )
        connection.execute("insert into raw.load_times values (%s, %s)", [load_id, now])
        connection.execute("insert into raw._dlt_loads values (%s, 'x', 0, now(), 'h')", [load_id])


def rows(database: Database) -> dict[str, list[str]]:
    """Every table that dbt built, without columns that only an extension adds."""
    with database.connect() as connection:
        found = contents(connection)
    return {
        table: sorted(
            json.dumps({k: v for k, v in json.loads(line).items() if k != "geom"}, sort_keys=True)
            for line in lines
        )
        for table, lines in found.items()
        # A snapshot contains the time at which it was taken.
        if table != "tracksolid.devices_history"
    }


def settings_of(work_dir: Path) -> Settings:
    """Settings under which all of the source's data is old enough to be compressed."""
    return Settings(
        work_dir=work_dir,
        archive_dir=work_dir / "archive",
        chunk_days=1,
        compress_raw_after_days=4,
        compress_series_after_days=4,
    )


def compressed_rows(database: Database) -> dict[tuple[str, str], int]:
    """Reads and writes so far of each compressed chunk: (table, chunk) -> count."""
    if "timescaledb" not in extensions(database):
        return {}
    with database.connect() as connection:
        found = connection.execute(TOUCHED.encode()).fetchall()
    return {(table, chunk): count for table, chunk, count in found}


def raw_rows(database: Database) -> dict[str, set[str]]:
    with database.connect() as connection:
        return {
            table: {
                text
                for (text,) in connection.execute(f"select t::text from raw.{table} as t".encode())
            }
            for table in SCHEMAS
        }


def assert_archive_and_restore(database: Database, settings: Settings) -> None:
    """Archive removes rows from compressed chunks too; builds work without them; restore works."""
    whole, gold = raw_rows(database), rows(database)
    moved = archive.archive(settings, database, timedelta(0))
    assert moved > 10_000
    assert sum(map(len, raw_rows(database).values())) == sum(map(len, whole.values())) - moved
    dbt_runner.run(settings, database, ["run"], lambda *_: None)
    assert rows(database) == gold
    assert archive.restore(settings, database) == moved
    assert raw_rows(database) == whole


def assert_series_retention(database: Database, settings: Settings) -> None:
    """Old chunks of the series are dropped; gold keeps what it computed from them."""
    kept = timedelta(days=AGE.days + 2)
    before = rows(database)
    timescale.compress(settings.model_copy(update={"series_retention_days": kept.days}), database)
    dbt_runner.run(settings, database, ["run"], lambda *_: None)
    with database.connect() as connection:
        (first,) = connection.execute(
            "select min(gps_time) from tracksolid.position_history"
        ).fetchone() or (None,)
    assert first > datetime.now(UTC) - kept - timedelta(days=settings.chunk_days)
    after = rows(database)
    assert len(after["tracksolid.position_history"]) < len(before["tracksolid.position_history"])
    facts = [table for table in before if table.startswith("dwh_gold.fact_")]
    assert len(facts) > 5
    assert [table for table in facts if after[table] != before[table]] == []


def test_postgis_is_moved_to_the_schema_that_dbt_searches(given: Database) -> None:
    with given.connect() as connection:
        if connection.execute(OFFERS_POSTGIS.encode()).fetchone() == (False,):
            pytest.skip("the server has no PostGIS")
        connection.execute("create schema tracksolid")
        connection.execute("create extension postgis schema tracksolid")
    given.prepare()
    with given.connect() as connection:
        connection.execute("set role fireside_dbt")
        connection.execute("create table tracksolid.places (geom geometry(point, 4326))")


@pytest.mark.timeout(3000)
def test_all_tables_equal_those_on_plain_postgresql(
    given: Database, new_database, tmp_path: Path
) -> None:
    source: Database = new_database()
    prepare(given)
    now = datetime.now(UTC).replace(microsecond=0)
    world = fleet(seed=5, days=5, devices=20, now=int((now - AGE).timestamp()))
    load(world, source, tmp_path / "source", pushed=True)
    make_older(source)
    with source.connect() as connection:
        loads = [
            load_id
            for (load_id,) in connection.execute(
                "select load_id from raw.complete_loads order by load_id"
            )
        ]
    databases = {"plain": new_database(), "given": given}
    for name, database in databases.items():
        project = settings_of(tmp_path / name)
        Landing(database, project.work_dir).prepare()
        copy(source, database, loads[::2])
        build(database, project.work_dir)
        if "citus" in extensions(database):
            grant_on_citus(database)
        timescale.compress(project, database)
        copy(source, database, loads[1::2])  # late data, into chunks that are compressed already
        dbt_runner.run(project, database, ["run"], lambda *_: None)
        timescale.compress(project, database)
        # Before a normal minute, an hour of data has arrived.
        sweep(database, "catching up", now - timedelta(minutes=62))
        sweep(database, "caught up", now - timedelta(minutes=2))
        dbt_runner.run(project, database, ["run"], lambda *_: None)
        before = compressed_rows(database)
        sweep(database, "normal", now - timedelta(minutes=1))
        with database.connect() as connection:  # as a sweep does
            kept = connection.execute("select tracksolid.keep_newest_fixes()").fetchone()
        assert kept[0] > 10
        dbt_runner.run(project, database, ["run"], lambda *_: None)
        # A normal minute does not touch compressed chunks.
        assert compressed_rows(database) == before
        assert before or "timescaledb" not in extensions(database)
    plain, on_engine = rows(databases["plain"]), rows(given)
    assert sum(map(len, plain.values())) > 10_000
    assert on_engine.keys() == plain.keys()
    assert [table for table in plain if on_engine[table] != plain[table]] == []

    for name, database in databases.items():
        dbt_runner.run(
            settings_of(tmp_path / name), database, ["run", "--full-refresh"], lambda *_: None
        )
    plain, on_engine = rows(databases["plain"]), rows(given)
    assert [table for table in plain if on_engine[table] != plain[table]] == []
    run_dashboard_queries(given)
    if "citus" in extensions(given):
        assert on_nodes(given, "h") == DISTRIBUTED
        assert on_nodes(given, "n") == ON_ALL_NODES
    if "timescaledb" in extensions(given):
        settings = settings_of(tmp_path / "given")
        timescale.compress(settings, given)
        assert_archive_and_restore(given, settings)
        assert_series_retention(given, settings)
    assert extensions(given) - {"plpgsql"}, (
        "the server has none of the extensions, so nothing was tested"
    )
