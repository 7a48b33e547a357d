"""From the receiver's spool to raw, and from raw.rejected back: landed first, forgotten after."""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from loader.batch import SCHEMAS, Batch, Origin, record_id, why_not_text
from loader.endpoints import LOCATION_GET, Endpoint
from loader.landing import Landing
from loader.pushes import PATHS, masked, take_apart
from loader.slicing import NotSliceable, imei_of, slice_reply
from operations.database import Database

log = structlog.get_logger()

BATCH_ROWS = 5_000
BATCH_BYTES = 64 * 2**20


class Push(Protocol):
    """One row of the spool."""

    @property
    def id(self) -> int: ...
    @property
    def receipt(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def body(self) -> bytes: ...


class Spool(Protocol):
    """The reader's half of the spool."""

    def newest(self) -> int: ...

    def batch(self, limit_rows: int, limit_bytes: int) -> Sequence[Push]: ...

    def forget(self, ids: list[int]) -> None: ...


@dataclass
class Drained:
    pushes: int = 0
    rejected: int = 0
    tables: Counter[str] = field(default_factory=Counter)


def drain(spool: Spool, landing: Landing, progress: Callable[[int], None] | None = None) -> Drained:
    """Land all that was spooled before now; rows leave the spool when their load is complete.

    What comes in meanwhile is for the next drain, else a busy receiver would keep this one for
    ever; ids tell it apart, for clocks are set back. A crash between the two lands rows again
    under the same record ids: staging keeps one.
    """
    total, newest = Drained(), spool.newest()
    while pushes := spool.batch(BATCH_ROWS, BATCH_BYTES):
        if pushes[0].id > newest:
            break
        batch = Batch()
        for push in pushes:
            _add(batch, push)
        landing.land(batch)
        spool.forget([push.id for push in pushes])
        total.pushes += len(pushes)
        counts = batch.counts()
        total.rejected += counts.pop("rejected", 0)
        total.tables.update(counts)
        if progress:
            progress(total.pushes)
    return total


def _add(batch: Batch, push: Push) -> None:
    taken = take_apart(push.content_type, push.body)
    request = {"path": push.path, "content_type": push.content_type, "receipt": push.receipt}
    if taken.message_type:
        request["msgType"] = taken.message_type
    origin = Origin(push.receipt, json.dumps(request), push.received_at)
    table = PATHS.get(push.path)
    if table is None:
        batch.reject(
            "push_unknown", origin, 0, masked(push.body), None, f"no table for {push.path}"
        )
        return
    for position, record in enumerate(taken.records):
        batch.add_record(table, origin, position, record, imei_of(record))
    if taken.problem:
        batch.reject(table, origin, 0, taken.rest, None, taken.problem)


REJECTED = """
    select source, body_base64, imei, request, fetched_at, record_id
    from raw.rejected
    where _dlt_load_id in (select load_id from raw._dlt_loads where status = 0)
    order by fetched_at
"""
LANDED = "select record_id from raw.{} where record_id = any(%s)"

Piece = tuple[Origin, int, bytes, str | None]  # what Batch.add_record takes


def replay_rejected(
    database: Database, landing: Landing, endpoints: tuple[Endpoint, ...]
) -> tuple[int, int]:
    """Try again what was rejected, after a fix of the loader: (tried, landed now).

    What was landed by an earlier replay is known by its record id and left alone; rows of
    raw.rejected stay, since raw is never changed.
    """
    replies = {e.table: e.records for e in (*endpoints, LOCATION_GET)}
    batch, found = Batch(), defaultdict[str, dict[str, Piece]](dict)
    with database.connect() as connection:
        rows = connection.execute(REJECTED.encode()).fetchall()
        for source, body_base64, imei, request, fetched_at, rejected_id in rows:
            asked = json.loads(request)
            # A path may have got its table since.
            table = PATHS.get(asked.get("path", "")) or source
            if table not in SCHEMAS:
                continue
            origin = Origin(rejected_id, request, fetched_at)
            records = _records(base64.b64decode(body_base64), asked, replies.get(table))
            for position, record in enumerate(records):
                if not why_not_text(record):
                    piece = (origin, position, record, imei_of(record) or imei)
                    found[table][record_id(rejected_id, position)] = piece
        for table, pieces in found.items():
            landed = connection.execute(LANDED.format(table).encode(), [list(pieces)])
            for (known,) in landed:
                pieces.pop(known, None)  # a crash may have landed it twice
            for piece in pieces.values():
                batch.add_record(table, *piece)
    landing.land(batch)
    return len(rows), batch.records


def _records(body: bytes, asked: dict[str, str], path: tuple[str, ...] | None) -> Sequence[bytes]:
    """What can be taken apart now: a whole reply, a whole push, or one record of either."""
    if path is None:
        # Of an endpoint that is switched off nobody says where its records are.
        return take_apart(asked["content_type"], body).records if "content_type" in asked else ()
    try:
        reply = slice_reply(body, path)
    except NotSliceable:
        return ()
    # A reply has a code; what has none is a single record that was no text.
    return reply.records if reply.code else (body,)
