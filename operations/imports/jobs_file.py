"""From a CSV file of the job system to raw.jobs: each line becomes a record of unchanged texts."""

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

TABLE = "jobs"
# The columns that staging reads (macros/vendor_fields.sql). Other columns are landed, not read.
COLUMNS = (
    "job_id", "service_type", "city", "created", "dispatched", "arrived", "closed", "technician",
    "vehicle", "customer_class", "lat", "lng", "repeat_of",
)  # fmt: skip
KEY = COLUMNS[0]

IS_LANDED = """
    select exists (
        select from raw.jobs
        where
            record_id = any(%s)
            and _dlt_load_id in (select load_id from raw.complete_loads)
    )
"""


class NotAListOfJobs(ValueError):
    """The file cannot be read as a list of jobs. The text says why and what to do."""


@dataclass(frozen=True)
class CsvLine:
    """A line of the file: its number (from 1), its bytes, its cells."""

    number: int
    text: bytes
    cells: list[str]


@dataclass(frozen=True)
class JobsFile:
    """A file's columns and lines. `delivery` is a hash of its bytes; a new name keeps it."""

    name: str
    delivery: str
    columns: list[str]
    lines: list[CsvLine]

    @property
    def missing(self) -> list[str]:
        """Columns that staging reads and the file lacks: they are left out or misspelt."""
        return [name for name in COLUMNS if name not in self.columns]


@dataclass(frozen=True)
class Imported:
    """How many lines went to raw.jobs, and how many were kept in raw.rejected."""

    landed: int
    rejected: int


def read_jobs(path: Path) -> JobsFile:
    """Read a CSV file with a header; cells are not checked.

    Raises NotAListOfJobs if the file is not UTF-8 or not CSV, if its header lacks job_id, or if
    the header names a column twice.
    """
    # The name becomes part of a JSON text, so bytes that are not UTF-8 are replaced.
    name = path.name.encode("utf-8", "replace").decode()
    content = path.read_bytes()
    try:
        # Excel begins a file with a byte order mark.
        header, *lines = _lines(content.decode("utf-8-sig")) or [CsvLine(1, b"", [])]
    except UnicodeDecodeError as error:
        raise NotAListOfJobs(
            f"{name} is not UTF-8 (byte {error.start}): save it as CSV UTF-8"
        ) from None
    except csv.Error as error:
        raise NotAListOfJobs(f"{name} is not well-formed CSV ({error}): export it again") from None
    columns = header.cells
    if KEY not in columns:
        raise NotAListOfJobs(
            f"{name} has no column {KEY} in its first line, which reads"
            f" {header.text.decode().strip()[:200]!r}: name the columns there, separated by commas"
        )
    if len(set(columns)) < len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise NotAListOfJobs(
            f"{name} names a column twice ({', '.join(twice)[:200]}): rename or remove one"
        )
    return JobsFile(name, hashlib.sha256(content).hexdigest(), columns, lines)


def import_jobs(file: JobsFile, database: Database, landing: Landing) -> Imported | None:
    """Land the lines of a file as one load; return None if the same file was landed before.

    Raises LandingError if dlt fails.
    """
    ids = [record_id(file.delivery, line.number) for line in file.lines]
    with database.connect() as connection:
        if connection.execute(IS_LANDED.encode(), [ids]).fetchone() == (True,):
            return None
    batch, now = Batch(), datetime.now(UTC)
    for line in file.lines:
        request = {"file": file.name, "line": line.number, "content_type": "text/csv"}
        origin = Origin(file.delivery, json.dumps(request), now)
        if len(line.cells) > len(file.columns):
            # Nobody can tell which cell belongs to which column.
            reason = "more cells than columns"
            batch.reject(TABLE, origin, line.number, line.text, None, reason)
            continue
        record = json.dumps(
            dict(zip(file.columns, line.cells, strict=False)), ensure_ascii=False
        ).encode()
        batch.add_record(TABLE, origin, line.number, record, None)
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
