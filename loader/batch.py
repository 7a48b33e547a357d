"""From answers and pushes to Arrow tables, one per table of raw.

A record that PostgreSQL cannot store as text goes to raw.rejected, as base64.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import structlog

from loader.question import Answer, Call
from loader.raw_tables import SCHEMAS
from loader.slicing import imei_of

log = structlog.get_logger()


@dataclass(frozen=True)
class Origin:
    """The call or push that brought records.

    `delivery` is the id of the call or push. `request` describes it: JSON without secrets.
    """

    delivery: str
    request: str
    fetched_at: datetime


class Batch:
    """Rows for raw, kept by table and column. One batch becomes one load.

    `records` counts the records without the rejected ones and the calls.
    """

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, list[object]]] = {}
        self.records = 0

    def add(self, answer: Answer) -> None:
        """Add the records and calls of an answer, and the replies that could not be taken apart."""
        table = answer.question.endpoint.table
        imeis = answer.question.imeis
        only_imei = imeis[0] if len(imeis) == 1 else None
        for page in answer.pages:
            self._add_call(page.call)
            origin = Origin(page.call.call_id, page.call.request, page.fetched_at)
            for position, record in enumerate(page.records):
                self.add_record(table, origin, position, record, imei_of(record) or only_imei)
            if page.problem:
                self.reject(table, origin, 0, page.whole, only_imei, page.problem)
        for page in answer.failed:
            self._add_call(page.call)
        if answer.error and answer.failed and answer.failed[-1].whole:
            last = answer.failed[-1]
            origin = Origin(last.call.call_id, last.call.request, last.fetched_at)
            self.reject(table, origin, 0, last.whole, only_imei, last.problem or "")

    def add_record(
        self, table: str, origin: Origin, position: int, record: bytes, imei: str | None
    ) -> None:
        """Add a record; if PostgreSQL cannot store it as text, add it to raw.rejected instead.

        `position` is its number within the delivery, from 0. Delivery and position give its id.
        """
        if reason := why_not_text(record):
            self.reject(table, origin, position, record, imei, reason)
            return
        self.records += 1
        columns = self._table(table)
        columns["body"].append(record.decode())
        columns["imei"].append(imei)
        columns["request"].append(origin.request)
        columns["fetched_at"].append(origin.fetched_at)
        columns["record_id"].append(record_id(origin.delivery, position))

    def reject(
        self, table: str, origin: Origin, position: int, body: bytes, imei: str | None, reason: str
    ) -> None:
        """Add bytes to raw.rejected: a record that is not text, or a body without clear records."""
        log.warning("rejected", table=table, reason=reason, bytes=len(body), imei=imei)
        row = {
            "source": table,
            "reason": reason,
            "body_base64": base64.b64encode(body).decode(),
            "imei": imei,
            "request": origin.request,
            "fetched_at": origin.fetched_at,
            "record_id": record_id(origin.delivery, position),
        }
        self._append("rejected", row)

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """(name, rows) of each table of raw that has rows in this batch."""
        for table, columns in self._columns.items():
            yield table, pa.table(columns, schema=SCHEMAS[table])

    def first_fetched_at(self) -> datetime | None:
        """When the earliest of its records arrived; None if it has no records."""
        times = (columns.get("fetched_at", ()) for columns in self._columns.values())
        return min(
            (time for each in times for time in each if isinstance(time, datetime)), default=None
        )

    def counts(self) -> dict[str, int]:
        """Rows per table of raw."""
        return {table: len(next(iter(c.values()))) for table, c in self._columns.items()}

    def _add_call(self, call: Call) -> None:
        start, end = call.window or (None, None)
        row = {
            "call_id": call.call_id,
            "endpoint": call.endpoint,
            "method": call.method,
            "account": call.account,
            "request": call.request,
            "imeis": ",".join(call.imeis) or None,
            "window_start": start,
            "window_end": end,
            "started_at": call.started_at,
            "duration_ms": call.duration_ms,
            "http_status": call.http_status,
            "code": None if call.code is None else _text(call.code),
            "message": _text(call.message),
            "records": call.records,
            "missing": ",".join(call.missing) or None,
            "attempt": call.attempt,
            "envelope": None if call.envelope is None else _text(call.envelope),
        }
        self._append("api_calls", row)

    def _append(self, table: str, row: Mapping[str, object]) -> None:
        for name, values in self._table(table).items():
            values.append(row[name])

    def _table(self, table: str) -> dict[str, list[object]]:
        return self._columns.setdefault(table, {name: [] for name in SCHEMAS[table].names})


def why_not_text(record: bytes) -> str | None:
    """The reason why PostgreSQL cannot store these bytes as text; None if it can."""
    try:
        record.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return "NUL byte" if b"\0" in record else None


def record_id(delivery: str, position: int) -> str:
    """A hash of 16 characters: a delivery that is landed twice gets the same ids."""
    digest = hashlib.blake2b(f"{delivery}:{position}".encode(), digest_size=12).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _text(value: str | bytes) -> str:
    """The value as text that PostgreSQL accepts: invalid bytes and NUL are replaced."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
