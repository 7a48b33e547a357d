"""The tables of raw: their columns, and what dlt cannot make: text, indexes, hypertables."""

from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
from psycopg import sql

from loader.endpoints import TABLES
from loader.pushes import PUSH_TABLES
from settings import settings

if TYPE_CHECKING:
    from dlt.common.data_types import TDataType
    from dlt.common.schema.typing import TPartialTableSchema

DATASET = "raw"

TIMESTAMP = pa.timestamp("us", tz="UTC")
RECORD = pa.schema(
    [
        ("body", pa.string()),
        ("imei", pa.string()),
        ("request", pa.string()),
        ("fetched_at", TIMESTAMP),
        ("record_id", pa.string()),
    ]
)
REJECTED = pa.schema(
    [
        ("source", pa.string()),
        ("reason", pa.string()),
        ("body_base64", pa.string()),
        ("imei", pa.string()),
        ("request", pa.string()),
        ("fetched_at", TIMESTAMP),
        ("record_id", pa.string()),
    ]
)
API_CALLS = pa.schema(
    [
        ("call_id", pa.string()),
        ("endpoint", pa.string()),
        ("method", pa.string()),
        ("account", pa.string()),
        ("request", pa.string()),
        ("imeis", pa.string()),
        ("window_start", TIMESTAMP),
        ("window_end", TIMESTAMP),
        ("started_at", TIMESTAMP),
        ("duration_ms", pa.float64()),
        ("http_status", pa.int64()),
        ("code", pa.string()),
        ("message", pa.string()),
        ("records", pa.int64()),
        ("missing", pa.string()),
        ("attempt", pa.int64()),
        ("envelope", pa.string()),
    ]
)
SCHEMAS = dict.fromkeys((*TABLES, *PUSH_TABLES), RECORD) | {
    "api_calls": API_CALLS,
    "rejected": REJECTED,
}

# By load for the dbt models, by device for the live view, by time for the loader's search for gaps
# and for the list of loads.
INDEXES: dict[str, list[tuple[str, ...]]] = {table: [("_dlt_load_id",)] for table in SCHEMAS}
INDEXES["location_list"].append(("imei", "fetched_at"))
INDEXES["location_get"].append(("imei", "fetched_at"))
INDEXES["api_calls"].append(("endpoint", "started_at"))
INDEXES["_dlt_loads"] = [("load_id",), ("inserted_at",)]

# Columns that dlt has created as varchar.
VARCHAR = """
    select table_name, column_name
    from information_schema.columns
    where table_schema = %s and data_type = 'character varying'
"""
# The large tables: they grow with each minute or fix, or hold a trip or stop some twenty times,
# because each poll fetches the last hours again.
SERIES = (
    *("location_list", "track_list", "track_mileage", "parking_report", "alarm_list"),
    *("push_gps", "push_hb", "push_obd"),
)
# Of these, the tables that are not hypertables yet; none where TimescaleDB is not installed.
PLAIN = """
    select 'raw.' || plain.name
    from unnest(%s::text[]) as plain (name)
    where
        exists (select from pg_extension where extname = 'timescaledb')
        -- Only a hypertable has this trigger.
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
# Tables of raw that are missing, lack a column, or lack the index that finish() adds to each.
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
    """The tables of raw that are missing or lack a column or an index. Changes nothing."""
    pairs = [(table, name) for table, arrow in SCHEMAS.items() for name in arrow.names]
    names = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
    return [table for (table,) in connection.execute(INCOMPLETE.encode(), names)]


def dlt_schema(table: str, arrow: pa.Schema) -> "TPartialTableSchema":
    """The dlt schema of a table of raw, from its Arrow schema."""
    from dlt.common.schema.utils import new_table  # here, as dlt is slow to import

    kinds: dict[pa.DataType, TDataType] = {
        pa.string(): "text",
        TIMESTAMP: "timestamp",
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
    """Finish the tables that dlt made: text instead of varchar, indexes, hypertables.

    The contracts of the dbt models require text. Does nothing to tables that are finished already.
    """
    connection.execute("select pg_advisory_lock(hashtext('fireside raw'))")
    columns_made = connection.execute(VARCHAR.encode(), [DATASET]).fetchall()
    for table, column in columns_made:
        # This is instant, because both types are the same on disk.
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
