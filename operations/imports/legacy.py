"""From the old system's tables to raw.legacy_*: each row as the JSON that PostgreSQL makes of it.

Tables with a time are read day by day. A day that raw holds is read again only if its number of
rows has changed, or if it was recent when it was read. So an interrupted import continues, and a
repeated one adds what is new.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from loader.batch import Batch, Origin
from loader.landing import Landing
from warehouse.address import FORM, BadAddress, canonical
from warehouse.database import Database

log = structlog.get_logger()

SCHEMA = "tracksolid"
# The imported tables, each with the column of a row's day; None: the table is read as a whole.
TAKEN: dict[str, str | None] = {
    "devices": None,
    "trips": "start_time",
    "parking_events": "start_time",
    "alarms": "alarm_time",
    "device_events": None,
    "obd_readings": None,
    "position_history": "gps_time",
}
BATCH_ROWS = 50_000  # a load has at least this many rows: whole days, some 20 MB
CHUNK_ROWS = 10_000
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
LANDED = """
    select request, max(fetched_at) from raw.legacy_{0}
    where _dlt_load_id in (select load_id from raw.complete_loads)
    group by request
"""


class LegacyError(Exception):
    """The old system cannot be read; the text says what, and what to do."""


@dataclass(frozen=True)
class Part:
    """The rows of one query: those of a day, those without a time, or the whole table."""

    table: str
    rows: int
    day: str | None
    condition: str

    def is_settled(self, read_at: datetime | None) -> bool:
        """Return True if this part can no longer have changed since `read_at`."""
        if read_at is None or self.day is None:
            return False
        end = datetime.combine(date.fromisoformat(self.day), datetime.min.time(), UTC)
        return read_at > end + timedelta(days=1) + STILL_CHANGES


@dataclass
class Taken:
    """What an import did with one table. `rows` counts the old system's rows."""

    table: str
    rows: int = 0
    landed: int = 0


class OldSystem:
    """The database of the system before this one; read only, in UTC.

    `url` is its address in any form that libpq reads. Raises LegacyError if it cannot be reached,
    or is no such database.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = canonical(url, "--from")
        except BadAddress as error:
            raise LegacyError(str(error)) from None
        given = conninfo_to_dict(self._url)
        if not given.get("dbname"):
            raise LegacyError(f"--from must name a database: {FORM}")
        # Part of each request in raw: what was imported before is found again by it.
        place = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}"
        self.name = f"{place.lower()}/{quote(str(given['dbname']), safe='')}"
        found: dict[str, set[str]] = {
            str(table): set(columns) for table, columns in self._query(COLUMNS, [SCHEMA])
        }
        if self.query("select to_regclass('raw._dlt_loads') is not null") == [(True,)]:
            raise LegacyError(f"{self.name} is a database of this product, not the old one")
        self.tables = set(found)
        self.columns = {table: found[table] for table in found.keys() & TAKEN.keys()}
        if not self.columns:
            raise LegacyError(
                f"{self.name} has none of the tables {', '.join(TAKEN)} in its schema {SCHEMA}"
            )

    def broken(self, error: psycopg.Error) -> LegacyError:
        """Return an error of the old database as a line that says what to do."""
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return LegacyError(
            f"cannot read {self.name}: {said}; what has landed is kept, start it again to go on"
        )

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises LegacyError."""
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

    def parts(self, table: str) -> list[Part]:
        """Split a table into its days. Raises LegacyError if a column is missing."""
        time = TAKEN[table]
        if missing := {"imei", *([time] if time else [])} - self.columns[table]:
            raise LegacyError(
                f"{SCHEMA}.{table} of {self.name} has no column {', '.join(sorted(missing))}, only"
                f" {', '.join(sorted(self.columns[table]))}:"
                " put its name into operations/imports/legacy.py"
            )
        if time is None:
            [(rows,)] = self.query(f"select count(*) from {SCHEMA}.{table}")
            return [Part(table, int(str(rows)), None, "true")] if rows else []
        parts = []
        for day, rows in self.query(DAYS.format(time, f"{SCHEMA}.{table}")):
            condition = f"{time} is null or not isfinite({time})"
            if day is not None:
                condition = f"{time} >= '{day}' and {time} < '{day}'::date + 1"
            parts.append(Part(table, int(str(rows)), None if day is None else str(day), condition))
        return parts

    def read(self, part: Part) -> Iterator[tuple[str, str | None]]:
        """Yield the rows of a part, as JSON, with their IMEI. Raises LegacyError."""
        query = ROWS.format(f"{SCHEMA}.{part.table}", part.condition)
        try:
            # A named cursor stays on the server: memory holds CHUNK_ROWS rows at a time.
            with self._connect() as connection, connection.cursor(name="legacy") as rows:
                rows.itersize = CHUNK_ROWS
                rows.execute(query.encode())
                yield from rows
        except psycopg.Error as error:
            raise self.broken(error) from error


def import_legacy(
    old: OldSystem,
    database: Database,
    landing: Landing,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Taken]:
    """Land the rows of the old tables that raw lacks; return a summary of each table.

    `progress` is called with (table, rows done, of how many). Raises LegacyError, and LandingError
    if dlt fails; what has landed stays.
    """
    done = []
    for table in TAKEN:
        if table not in old.columns:
            continue
        parts = old.parts(table)
        taken = Taken(table, sum(part.rows for part in parts))
        done.append(taken)
        with database.connect() as connection:
            known: dict[str, datetime] = dict(
                connection.execute(LANDED.format(table).encode()).fetchall()
            )
        seen, batch = 0, Batch()
        for number, part in enumerate(parts, 1):
            request = _request(old, part)
            if not part.is_settled(known.get(request)):
                _add(batch, request, part, old)
            seen += part.rows
            if batch.records >= BATCH_ROWS or number == len(parts):
                landing.land(batch)
                taken.landed += batch.records
                batch = Batch()
                if progress:
                    progress(table, seen, taken.rows)
    return done


def _request(old: OldSystem, part: Part) -> str:
    told = {"from": old.name, "table": f"{SCHEMA}.{part.table}", "day": part.day, "rows": part.rows}
    return json.dumps(told)


def _add(batch: Batch, request: str, part: Part, old: OldSystem) -> None:
    now = datetime.now(UTC)
    for body, imei in old.read(part):
        # The same row has the same id, whichever import brought it.
        delivery = f"legacy {part.table} {hashlib.sha256(body.encode()).hexdigest()}"
        batch.add_record(
            f"legacy_{part.table}", Origin(delivery, request, now), 0, body.encode(), imei
        )
