"""From the old system's tables to raw.legacy_*: each row as the JSON that PostgreSQL makes of it.

Tables with a time are imported day by day. A day that raw holds is read again only if its number
of rows has changed, or if it was recent when it was read. So an interrupted import continues, and
a repeated one adds what is new.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from loader.batch import Batch, Origin
from loader.landing import Landing
from operations.imports.old_system import IMPORTED_TABLES, SCHEMA, OldSystem, TablePart
from warehouse.database import Database

BATCH_ROWS = 50_000  # a load has at least this many rows: whole days, some 20 MB

LANDED = """
    select request, max(fetched_at) from raw.legacy_{0}
    where _dlt_load_id in (select load_id from raw.complete_loads)
    group by request
"""


@dataclass
class ImportedTable:
    """How many rows a table has in the old system, and how many of them this import landed."""

    table: str
    rows: int = 0
    landed: int = 0


def import_legacy(
    old: OldSystem,
    database: Database,
    landing: Landing,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[ImportedTable]:
    """Land the rows of the old tables that raw lacks; return one summary per table.

    `progress` is called with (table, rows done, rows in all) after each load. Raises LegacyError if
    the old system cannot be read and LandingError if dlt fails; what has landed stays.
    """
    done = []
    for table in IMPORTED_TABLES:
        if table not in old.columns:
            continue
        parts = old.parts(table)
        imported = ImportedTable(table, sum(part.rows for part in parts))
        done.append(imported)
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
                imported.landed += batch.records
                batch = Batch()
                if progress:
                    progress(table, seen, imported.rows)
    return done


def _request(old: OldSystem, part: TablePart) -> str:
    """Return the text that identifies a part; another number of rows makes another text."""
    table = f"{SCHEMA}.{part.table}"
    return json.dumps({"from": old.name, "table": table, "day": part.day, "rows": part.rows})


def _add(batch: Batch, request: str, part: TablePart, old: OldSystem) -> None:
    now = datetime.now(UTC)
    for body, imei in old.read(part):
        # The same row has the same id, whichever import brought it.
        delivery = f"legacy {part.table} {hashlib.sha256(body.encode()).hexdigest()}"
        batch.add_record(
            f"legacy_{part.table}", Origin(delivery, request, now), 0, body.encode(), imei
        )
