"""Reads the database of the system before this one: its tables, their days, their rows as JSON.

The session is read-only and in UTC.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from warehouse.address import FORM, BadAddress, canonical

SCHEMA = "tracksolid"
# Each imported table with the column that holds a row's time; a table without one is read whole.
IMPORTED_TABLES: dict[str, str | None] = {
    "devices": None,
    "trips": "start_time",
    "parking_events": "start_time",
    "alarms": "alarm_time",
    "device_events": None,
    "obd_readings": None,
    "position_history": "gps_time",
}
CHUNK_ROWS = 10_000  # rows in memory at a time
STILL_CHANGES = timedelta(days=2)  # the old system rewrites a running trip

DAYS = """
    select case when isfinite({0}) then {0}::date::text end as day, count(*)
    from {1} group by 1 order by 1
"""
ROWS = "select to_json(old)::text as body, old.imei::text as imei from {0} as old where {1}"
COLUMNS = """
    select class.relname, array_agg(attribute.attname::text)
    from pg_class as class
    inner join pg_namespace as namespace on class.relnamespace = namespace.oid
    inner join pg_attribute as attribute on class.oid = attribute.attrelid
    where
        namespace.nspname = %s
        and class.relkind in ('r', 'p')
        and attribute.attnum > 0
        and not attribute.attisdropped
    group by class.relname
"""


class LegacyError(Exception):
    """The old system cannot be read. The text says why and what to do."""


@dataclass(frozen=True)
class TablePart:
    """The rows of one query: a day's rows, the rows without a time, or the whole table.

    `rows` is their number, `day` is None unless they are a day's, `condition` is SQL.
    """

    table: str
    rows: int
    day: str | None
    condition: str

    def is_settled(self, read_at: datetime | None) -> bool:
        """Return True if these rows cannot have changed since they were read.

        `read_at` is None if they were never read.
        """
        if read_at is None or self.day is None:
            return False
        end = datetime.combine(date.fromisoformat(self.day), datetime.min.time(), UTC)
        return read_at > end + timedelta(days=1) + STILL_CHANGES


class OldSystem:
    """The old system's database: `tables` names all its tables, `columns` those to import.

    `url` is its address in any form that libpq reads. Raises LegacyError if the database cannot be
    reached or is not an old system's.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = canonical(url, "--from")
        except BadAddress as error:
            raise LegacyError(str(error)) from None
        given = conninfo_to_dict(self._url)
        if not given.get("dbname"):
            raise LegacyError(f"--from must name a database: {FORM}")
        # Each imported row has this name in its column request; a later import finds it by that.
        place = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}"
        self.name = f"{place.lower()}/{quote(str(given['dbname']), safe='')}"
        found: dict[str, set[str]] = {
            str(table): set(columns) for table, columns in self._query(COLUMNS, [SCHEMA])
        }
        if self.query("select to_regclass('raw._dlt_loads') is not null") == [(True,)]:
            raise LegacyError(f"{self.name} is a database of this product, not the old one")
        self.tables = set(found)
        self.columns = {table: found[table] for table in found.keys() & IMPORTED_TABLES.keys()}
        if not self.columns:
            raise LegacyError(
                f"{self.name} has none of the tables {', '.join(IMPORTED_TABLES)} in its schema"
                f" {SCHEMA}: check the database's name in --from"
            )

    def broken(self, error: psycopg.Error) -> LegacyError:
        """Return the error of the old database as one line that says what to do."""
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return LegacyError(
            f"cannot read {self.name}: {reason}; mend this and run the same command again"
        )

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the old database. Raises LegacyError."""
        return self._query(text)

    def _query(self, text: str, values: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
        try:
            with self._connect() as connection:
                return connection.execute(text.encode(), values).fetchall()
        except psycopg.Error as error:
            raise self.broken(error) from error

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._url,
            options="-c default_transaction_read_only=on -c timezone=UTC",
            application_name="fireside import-legacy",
            client_encoding="UTF8",
            connect_timeout=15,
        )

    def parts(self, table: str) -> list[TablePart]:
        """Return the table's parts, one per day. Raises LegacyError if a column is missing."""
        time = IMPORTED_TABLES[table]
        if missing := {"imei", *([time] if time else [])} - self.columns[table]:
            raise LegacyError(
                f"{SCHEMA}.{table} of {self.name} has no column {', '.join(sorted(missing))}, only"
                f" {', '.join(sorted(self.columns[table]))}: if the column has another name,"
                " put that into operations/imports/old_system.py"
            )
        if time is None:
            [(rows,)] = self.query(f"select count(*) from {SCHEMA}.{table}")
            return [TablePart(table, int(rows), None, "true")] if rows else []
        parts = []
        for day, rows in self.query(DAYS.format(time, f"{SCHEMA}.{table}")):
            condition = f"{time} is null or not isfinite({time})"
            if day is not None:
                condition = f"{time} >= '{day}' and {time} < '{day}'::date + 1"
            parts.append(TablePart(table, int(rows), day, condition))
        return parts

    def read(self, part: TablePart) -> Iterator[tuple[str, str | None]]:
        """Yield (row as JSON, IMEI or None) for each row of a part. Raises LegacyError."""
        query = ROWS.format(f"{SCHEMA}.{part.table}", part.condition)
        try:
            # The named cursor keeps the rows on the server: memory holds CHUNK_ROWS at a time.
            with self._connect() as connection, connection.cursor(name="legacy") as rows:
                rows.itersize = CHUNK_ROWS
                rows.execute(query.encode())
                yield from rows
        except psycopg.Error as error:
            raise self.broken(error) from error
