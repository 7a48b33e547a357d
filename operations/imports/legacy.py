"""Taking over the old system's history: its tables, row by row and unchanged, to raw.legacy_*.

Day by day, each row as the JSON that PostgreSQL makes of it. A day that raw holds is not read
again, unless its rows have become more or fewer since, or it was still young when it was read: so
an import that broke off goes on, and one that is started again while the old system still runs
brings what is new.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import sqlalchemy as sa
import structlog
from dlt.extract.exceptions import ResourceExtractionError
from dlt.sources.sql_database import sql_table
from sqlalchemy.engine import Engine, make_url

from loader.batch import Batch, Origin
from loader.landing import Landing
from warehouse.database import Database

log = structlog.get_logger()

SCHEMA = "tracksolid"
# What is taken, and the column that says of which day a row is; None: read as a whole.
TAKEN: dict[str, str | None] = {
    "devices": None,
    "trips": "start_time",
    "parking_events": "start_time",
    "alarms": "alarm_time",
    "device_events": None,
    "obd_readings": None,
    "position_history": "gps_time",
}
BATCH_ROWS = 50_000  # at least, then a load is made: whole days, some 20 MB
CHUNK_ROWS = 10_000
STILL_CHANGES = timedelta(days=2)  # a running trip is written again

DAYS = """
    select case when isfinite({0}) then {0}::date::text end as day, count(*)
    from {1} group by 1 order by 1
"""
ROWS = "select to_json(old)::text as body, old.imei::text as imei from {0} as old where {1}"
LANDED = """
    select request, max(fetched_at) from raw.legacy_{0}
    where _dlt_load_id in (select load_id from raw._dlt_loads where status = 0)
    group by request
"""


class LegacyError(Exception):
    """The old system cannot be read; the text says what, and what to do."""


@dataclass(frozen=True)
class Part:
    """What is read in one query: rows of a day, those without one, or the whole table."""

    table: str
    rows: int
    day: str | None
    condition: str

    def is_settled(self, read_at: datetime | None) -> bool:
        """Whether what was read then is all there will be of it."""
        if read_at is None or self.day is None:
            return False
        end = datetime.combine(date.fromisoformat(self.day), datetime.min.time(), UTC)
        return read_at > end + timedelta(days=1) + STILL_CHANGES


@dataclass
class Taken:
    """What an import did with one table. `rows` is what the old system has."""

    table: str
    rows: int = 0
    landed: int = 0


class OldSystem:
    """The database of the system before this one; read only, in UTC.

    Raises LegacyError if it cannot be reached, or is no such database.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
            raise LegacyError("--from must be postgresql://user:password@host:5432/database")
        self.name = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
        self.engine: Engine = sa.create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            connect_args={
                "options": "-c default_transaction_read_only=on -c timezone=UTC",
                "application_name": "fireside import-legacy",
            },
        )
        try:
            with self.engine.connect() as connection:
                known = sa.inspect(connection)
                if known.has_table("_dlt_loads", schema="raw"):
                    raise LegacyError(f"{self.name} is a database of this product, not the old one")
                self.tables = set(known.get_table_names(schema=SCHEMA))
                self.columns = {
                    table: {column["name"] for column in known.get_columns(table, schema=SCHEMA)}
                    for table in self.tables & TAKEN.keys()
                }
        except sa.exc.SQLAlchemyError as error:
            raise self.broken(error) from error
        if not self.columns:
            raise LegacyError(
                f"{self.name} has none of the tables {', '.join(TAKEN)} in its schema {SCHEMA}"
            )

    def broken(self, error: BaseException) -> LegacyError:
        """A fault of the old database as a line that says what to do."""
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return LegacyError(
            f"cannot read {self.name}: {said}; what has landed is kept, start it again to go on"
        )

    def query(self, text: str) -> list[tuple[object, ...]]:
        """Rows of a query. Raises LegacyError."""
        try:
            with self.engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sa.text(text))]
        except sa.exc.SQLAlchemyError as error:
            raise self.broken(error) from error

    def parts(self, table: str) -> list[Part]:
        """All of a table, day by day. Raises LegacyError if a column is missing."""
        time = TAKEN[table]
        if missing := {"imei", *([time] if time else [])} - self.columns[table]:
            raise LegacyError(
                f"{SCHEMA}.{table} of {self.name} has no column {', '.join(sorted(missing))}, only"
                f" {', '.join(sorted(self.columns[table]))}: put its name into operations/legacy.py"
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
        """The rows of a part, as JSON, with their IMEI. Raises LegacyError."""
        query = sa.text(ROWS.format(f"{SCHEMA}.{part.table}", part.condition))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types it does not know: PostGIS
            try:
                rows = sql_table(
                    self.engine,
                    table=part.table,
                    schema=SCHEMA,
                    chunk_size=CHUNK_ROWS,
                    reflection_level="minimal",
                    query_adapter_callback=lambda *_: query,
                )
                for row in rows:
                    yield row["body"], row["imei"]
            except (sa.exc.SQLAlchemyError, ResourceExtractionError) as error:
                raise self.broken(error.__cause__ or error) from error


def import_legacy(
    old: OldSystem,
    database: Database,
    landing: Landing,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Taken]:
    """Land what raw lacks of the old tables; progress is told (table, rows done, of how many).

    Raises LegacyError, and LandingError if dlt fails. Either way what has landed stays.
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
