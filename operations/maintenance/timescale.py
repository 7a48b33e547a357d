"""Compresses old chunks of TimescaleDB's hypertables each night; drops them if that is set.

TimescaleDB's own policies would need an owner that may log in; fireside_dbt may not.
"""

from datetime import timedelta

import structlog

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

log = structlog.get_logger()

INSTALLED = "select from pg_extension where extname = 'timescaledb'"
TABLES = """
    select hypertable_schema, format('%I.%I', hypertable_schema, hypertable_name)
    from timescaledb_information.hypertables
    where hypertable_schema in ('raw', 'tracksolid')
    order by 2
"""
# Also compresses late rows, which are uncompressed beside their compressed chunk until then.
COMPRESS = """
    select count(compress_chunk(chunk, if_not_compressed => true))
    from show_chunks(%s::regclass, older_than => %s::interval) as chunk
"""
DROP = "select count(*) from drop_chunks(%s::regclass, older_than => %s::interval)"


def compress(settings: Settings, database: Database) -> None:
    """Compress chunks that are old enough, under the dbt lock; do nothing without TimescaleDB."""
    ages = {
        "raw": timedelta(days=settings.compress_raw_after_days),
        "tracksolid": timedelta(days=settings.compress_series_after_days),
    }
    with dbt_runner.alone(database), database.connect() as connection:
        if connection.execute(INSTALLED.encode()).fetchone() is None:
            return
        for schema, table in connection.execute(TABLES.encode()).fetchall():
            if schema == "tracksolid" and settings.series_retention_days is not None:
                kept = timedelta(days=settings.series_retention_days)
                dropped = connection.execute(DROP.encode(), [table, kept]).fetchone()
                log.info("dropped", table=table, chunks=dropped and dropped[0])
            done = connection.execute(COMPRESS.encode(), [table, ages[schema]]).fetchone()
            log.info("compressed", table=table, chunks=done and done[0])
