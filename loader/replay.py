"""From raw.rejected back to raw: records that the loader can take apart by now."""

import base64
import json
from collections import defaultdict
from collections.abc import Sequence

from loader.batch import SCHEMAS, Batch, Origin, record_id, why_not_text
from loader.endpoints import LOCATION_GET, Endpoint
from loader.landing import Landing
from loader.pushes import PATHS, take_apart
from loader.slicing import NotSliceable, imei_of, slice_reply
from warehouse.database import Database

REJECTED = """
    select source, body_base64, imei, request, fetched_at, record_id
    from raw.rejected
    where _dlt_load_id in (select load_id from raw.complete_loads)
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
