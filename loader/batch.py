"""From answers to Arrow tables with raw's envelope; what text cannot hold goes to `rejected`."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import structlog

from loader.ask import Answer, Call
from loader.endpoints import TABLES
from loader.pushes import PUSH_TABLES
from loader.slicing import imei_of

log = structlog.get_logger()

UTC = pa.timestamp("us", tz="UTC")
RECORD = pa.schema(
    [
        ("body", pa.string()),
        ("imei", pa.string()),
        ("request", pa.string()),
        ("fetched_at", UTC),
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
        ("fetched_at", UTC),
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
        ("window_start", UTC),
        ("window_end", UTC),
        ("started_at", UTC),
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


@dataclass(frozen=True)
class Origin:
    """Where records come from: a call or a push (`delivery` is its id), when, and asked how."""

    delivery: str
    request: str
    fetched_at: datetime


class Batch:
    """Rows on their way to raw, column by column: one batch becomes one load."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, list[object]]] = {}
        self.records = 0

    def add(self, answer: Answer) -> None:
        """Take in all that an answer brought: records, calls, and what cannot be text."""
        table = answer.ask.endpoint.table
        alone = answer.ask.imeis[0] if len(answer.ask.imeis) == 1 else None
        for page in answer.pages:
            self._add_call(page.call)
            origin = Origin(page.call.call_id, page.call.request, page.fetched_at)
            for position, record in enumerate(page.records):
                self.add_record(table, origin, position, record, imei_of(record) or alone)
            if page.problem:
                self.reject(table, origin, 0, page.whole, alone, page.problem)
        for page in answer.failed:
            self._add_call(page.call)
        if answer.error and answer.failed and answer.failed[-1].whole:
            last = answer.failed[-1]
            origin = Origin(last.call.call_id, last.call.request, last.fetched_at)
            self.reject(table, origin, 0, last.whole, alone, last.problem or "")

    def add_record(
        self, table: str, origin: Origin, position: int, record: bytes, imei: str | None
    ) -> None:
        """Take in one record, or keep its bytes as rejected if it cannot be text."""
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
        """Keep what is no text, or nobody could take apart."""
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
        for table, columns in self._columns.items():
            yield table, pa.table(columns, schema=SCHEMAS[table])

    def first_fetched_at(self) -> datetime | None:
        """When the first of its records arrived; None without any."""
        times = (columns.get("fetched_at", ()) for columns in self._columns.values())
        return min(
            (time for each in times for time in each if isinstance(time, datetime)), default=None
        )

    def counts(self) -> dict[str, int]:
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
    """Why PostgreSQL cannot hold these bytes as text; None if it can."""
    try:
        record.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return "NUL byte" if b"\0" in record else None


def record_id(delivery: str, position: int) -> str:
    """16 characters that are the same when the same delivery is landed twice."""
    digest = hashlib.blake2b(f"{delivery}:{position}".encode(), digest_size=12).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _text(value: str | bytes) -> str:
    """What PostgreSQL can hold as text; the envelope of a poisoned reply may be anything."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
