"""The tables of raw: as dlt shall make them, and what dlt has no word for."""

from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
from psycopg import sql

from loader.batch import SCHEMAS, UTC
from settings import settings

if TYPE_CHECKING:
    from dlt.common.data_types import TDataType
    from dlt.common.schema.typing import TPartialTableSchema

DATASET = "raw"
# By load for dbt; by device for the live view; by time for what the loader asks of raw, and dbt of
# its loads.
INDEXES: dict[str, list[tuple[str, ...]]] = {table: [("_dlt_load_id",)] for table in SCHEMAS}
INDEXES["location_list"].append(("imei", "fetched_at"))
INDEXES["location_get"].append(("imei", "fetched_at"))
INDEXES["api_calls"].append(("endpoint", "started_at"))
INDEXES["_dlt_loads"] = [("load_id",), ("inserted_at",)]


VARCHAR = """
    select table_name, column_name
    from information_schema.columns
    where table_schema = %s and data_type = 'character varying'
"""
# The tables that grow with every minute or fix, or hold each thing some twenty times, as every poll
# reaches back; the others are small beside these.
SERIES = (
    *("location_list", "track_list", "track_mileage", "parking_report", "alarm_list"),
    *("push_gps", "push_hb", "push_obd"),
)
# Where TimescaleDB is installed: those that are no hypertables yet.
PLAIN = """
    select 'raw.' || plain.name
    from unnest(%s::text[]) as plain (name)
    where
        exists (select from pg_extension where extname = 'timescaledb')
        -- A hypertable, and no other table here, has this trigger.
        and not exists (
            select from pg_trigger
            where tgrelid = ('raw.' || plain.name)::regclass and tgname = 'ts_insert_blocker'
        )
"""
HYPERTABLE = """
    select create_hypertable(
        '{0}', 'fetched_at', chunk_time_interval => {1} * interval '1 day',
        create_default_indexes => false, migrate_data => true
    );
    alter table {0} set (
        timescaledb.compress,
        timescaledb.compress_segmentby = 'imei',
        timescaledb.compress_orderby = 'fetched_at'
    );
"""


# A table, a column of it, or the index without which the landing takes a table for dropped.
INCOMPLETE = """
    select distinct wanted.name
    from unnest(%s::text[], %s::text[]) as wanted (name, attribute)
    where
        to_regclass('raw.' || wanted.name || '_dlt_load_id') is null
        or not exists (
            select from pg_attribute
            where
                attrelid = to_regclass('raw.' || wanted.name)
                and attname = wanted.attribute
                and not attisdropped
        )
    order by 1
"""


def incomplete(connection: psycopg.Connection) -> list[str]:
    """Return the tables of raw that are missing or lack something; change nothing."""
    pairs = [(table, name) for table, arrow in SCHEMAS.items() for name in arrow.names]
    names = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
    return [table for (table,) in connection.execute(INCOMPLETE.encode(), names)]


def declared(table: str, arrow: pa.Schema) -> "TPartialTableSchema":
    """A table of raw as dlt's schema has it."""
    from dlt.common.schema.utils import new_table  # late: `incomplete` must not wait for dlt

    kinds: dict[pa.DataType, TDataType] = {
        pa.string(): "text",
        UTC: "timestamp",
        pa.float64(): "double",
        pa.int64(): "bigint",
    }
    types = {column.name: kinds[column.type] for column in arrow} | {"_dlt_load_id": "text"}
    return new_table(
        table,
        write_disposition="append",
        columns=[
            {"name": name, "data_type": kind, "nullable": True} for name, kind in types.items()
        ],
    )


def finish(connection: psycopg.Connection) -> None:
    """Text instead of varchar, as dbt's contracts say; indexes; hypertables where there are any."""
    connection.execute("select pg_advisory_lock(hashtext('fireside raw'))")
    made = connection.execute(VARCHAR.encode(), [DATASET]).fetchall()
    for table, column in made:
        # Costs nothing: both are the same on disk.
        change = sql.SQL("alter table {} alter {} type text")
        connection.execute(change.format(sql.Identifier(DATASET, table), sql.Identifier(column)))
    for table, indexes in INDEXES.items():
        for columns in indexes:
            name = f"{table}_{'_'.join(columns).lstrip('_')}"
            connection.execute(
                f"create index if not exists {name}"
                f" on {DATASET}.{table} ({', '.join(columns)})".encode()
            )
    for (table,) in connection.execute(PLAIN.encode(), [list(SERIES)]).fetchall():
        connection.execute(HYPERTABLE.format(table, settings().chunk_days).encode())
