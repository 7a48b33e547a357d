"""From a CSV file to a table of raw: each line becomes a record of unchanged texts."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loader.batch import Batch, Origin, record_id
from loader.landing import Landing
from warehouse.database import Database

IS_LANDED = """
    select exists (
        select from raw.{}
        where
            record_id = any(%s)
            and _dlt_load_id in (select load_id from raw.complete_loads)
    )
"""


@dataclass(frozen=True)
class Kind:
    """What a file is about: its table of raw, and the columns that staging reads.

    Of these, `keys` must be there. Other columns are landed, not read.
    """

    table: str
    keys: tuple[str, ...]
    others: tuple[str, ...]


# The columns are those of macros/vendor_fields.sql.
JOBS = Kind(
    "jobs",
    ("job_id",),
    (
        "service_type", "city", "created", "dispatched", "arrived", "closed", "technician",
        "vehicle", "customer_class", "lat", "lng", "repeat_of",
    ),
)  # fmt: skip
SERVICES = Kind("services", ("plate", "date", "odometer"), ("kind",))


class NotAList(ValueError):
    """The file cannot be read as a list of its kind. The text says why and what to do."""


@dataclass(frozen=True)
class CsvLine:
    """A line of the file: its number (from 1), its bytes, its cells."""

    number: int
    text: bytes
    cells: list[str]


@dataclass(frozen=True)
class CsvFile:
    """A file's columns and lines. `delivery` is a hash of its bytes; a new name keeps it."""

    kind: Kind
    name: str
    delivery: str
    columns: list[str]
    lines: list[CsvLine]

    @property
    def missing(self) -> list[str]:
        """Columns that staging reads and the file lacks: they are left out or misspelt."""
        return [name for name in self.kind.others if name not in self.columns]


@dataclass(frozen=True)
class Imported:
    """How many lines went to their table of raw, and how many were kept in raw.rejected."""

    landed: int
    rejected: int


def read_csv(path: Path, kind: Kind) -> CsvFile:
    """Read a CSV file with a header; cells are not checked.

    Raises NotAList if the file is not UTF-8 or not CSV, if its header lacks a column that must be
    there, or if the header names a column twice.
    """
    # The name becomes part of a JSON text, so bytes that are not UTF-8 are replaced.
    name = path.name.encode("utf-8", "replace").decode()
    content = path.read_bytes()
    try:
        # Excel begins a file with a byte order mark.
        header, *lines = _lines(content.decode("utf-8-sig")) or [CsvLine(1, b"", [])]
    except UnicodeDecodeError as error:
        raise NotAList(f"{name} is not UTF-8 (byte {error.start}): save it as CSV UTF-8") from None
    except csv.Error as error:
        raise NotAList(f"{name} is not well-formed CSV ({error}): export it again") from None
    columns = header.cells
    if lacking := [key for key in kind.keys if key not in columns]:
        raise NotAList(
            f"{name} has no column {', '.join(lacking)} in its first line, which reads"
            f" {header.text.decode().strip()[:200]!r}: name the columns there, separated by commas"
        )
    if len(set(columns)) < len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise NotAList(
            f"{name} names a column twice ({', '.join(twice)[:200]}): rename or remove one"
        )
    return CsvFile(kind, name, hashlib.sha256(content).hexdigest(), columns, lines)


def import_csv(file: CsvFile, database: Database, landing: Landing) -> Imported | None:
    """Land the lines of a file as one load; return None if the same file was landed before.

    Raises LandingError if dlt fails.
    """
    ids = [record_id(file.delivery, line.number) for line in file.lines]
    with database.connect() as connection:
        is_landed = IS_LANDED.format(file.kind.table).encode()
        if connection.execute(is_landed, [ids]).fetchone() == (True,):
            return None
    batch, now = Batch(), datetime.now(UTC)
    for line in file.lines:
        request = {"file": file.name, "line": line.number, "content_type": "text/csv"}
        origin = Origin(file.delivery, json.dumps(request), now)
        if len(line.cells) > len(file.columns):
            # Nobody can tell which cell belongs to which column.
            reason = "more cells than columns"
            batch.reject(file.kind.table, origin, line.number, line.text, None, reason)
            continue
        record = json.dumps(
            dict(zip(file.columns, line.cells, strict=False)), ensure_ascii=False
        ).encode()
        batch.add_record(file.kind.table, origin, line.number, record, None)
    landing.land(batch)
    return Imported(batch.records, len(file.lines) - batch.records)


def _lines(text: str) -> list[CsvLine]:
    """Return the lines that are not empty; one may span several physical lines (quoted cell)."""
    physical = list(io.StringIO(text, newline=""))
    reader = csv.reader(physical, strict=True)
    lines, end = [], 0
    for cells in reader:
        start, end = end, reader.line_num
        if any(map(str.strip, cells)):
            lines.append(CsvLine(start + 1, "".join(physical[start:end]).encode(), cells))
    return lines
