"""From the receiver's spool to raw, and from raw.rejected back: landed first, forgotten after."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from loader.batch import Batch, Origin
from loader.landing import Landing
from loader.pushes import PATHS, masked, take_apart
from loader.slicing import imei_of

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
