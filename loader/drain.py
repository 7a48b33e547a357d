"""From the receiver's spool to raw: a push is landed first, then deleted from the spool."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from loader.batch import Batch, Origin
from loader.landing import Landing
from loader.pushes import PATHS, masked, take_apart
from loader.slicing import imei_of
from webhook.spool_reader import Push, SpoolReader

log = structlog.get_logger()

BATCH_ROWS = 5_000
BATCH_BYTES = 64 * 2**20


@dataclass
class Drained:
    """What a drain did. `rejected` counts rows of raw.rejected, `tables` rows per other table."""

    pushes: int = 0
    rejected: int = 0
    tables: Counter[str] = field(default_factory=Counter)


def drain(
    spool: SpoolReader, landing: Landing, progress: Callable[[int], None] | None = None
) -> Drained:
    """Land all pushes that are in the spool now; delete them from it once their load is complete.

    Pushes that arrive during the drain wait for the next one; otherwise a busy receiver would keep
    this one running for ever. They are known by their ids, because a clock may be set back. A crash
    between landing and deleting lands pushes twice with the same record ids: staging keeps one.

    After each load, `progress` gets the number of pushes landed so far. Raises LandingError.
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
    sliced = take_apart(push.content_type, push.body)
    request = {"path": push.path, "content_type": push.content_type, "receipt": push.receipt}
    if sliced.message_type:
        request["msgType"] = sliced.message_type
    origin = Origin(push.receipt, json.dumps(request), push.received_at)
    table = PATHS.get(push.path)
    if table is None:
        batch.reject(
            "push_unknown", origin, 0, masked(push.body), None, f"no table for {push.path}"
        )
        return
    for position, record in enumerate(sliced.records):
        batch.add_record(table, origin, position, record, imei_of(record))
    if sliced.problem:
        batch.reject(table, origin, 0, sliced.rest, None, sliced.problem)
