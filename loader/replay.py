"""From raw.rejected to the tables of raw: records that a corrected loader can take apart now."""

import base64
import json
from collections import defaultdict
from collections.abc import Sequence

from loader.batch import Batch, Origin, record_id, why_not_text
from loader.endpoints import LOCATION_GET, Endpoint
from loader.landing import Landing
from loader.pushes import PATHS, take_apart
from loader.raw_tables import SCHEMAS
from loader.slicing import NotSliceable, imei_of, slice_reply
from warehouse.database import Database

REJECTED = """
    select source, body_base64, imei, request, fetched_at, record_id
    from raw.rejected
    where _dlt_load_id in (select load_id from raw.complete_loads)
    order by fetched_at
"""
LANDED = "select record_id from raw.{} where record_id = any(%s)"

Piece = tuple[Origin, int, bytes, str | None]  # arguments of Batch.add_record after the table


def replay_rejected(
    database: Database, landing: Landing, endpoints: tuple[Endpoint, ...]
) -> tuple[int, int]:
    """Try all rows of raw.rejected again, after a fix of the loader.

    Returns how many rows were tried and how many records were landed. Records that an earlier
    replay has landed are recognised by their record id and skipped. The rows of raw.rejected stay,
    because raw is never changed. Raises LandingError.
    """
    replies = {e.table: e.records for e in (*endpoints, LOCATION_GET)}
    batch, found = Batch(), defaultdict[str, dict[str, Piece]](dict)
    with database.connect() as connection:
        rows = connection.execute(REJECTED.encode()).fetchall()
        for source, body_base64, imei, request, fetched_at, rejected_id in rows:
            asked = json.loads(request)
            # The path may have been given a table since the push was rejected.
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
                pieces.pop(known, None)  # None, because a crash may have landed it twice
            for piece in pieces.values():
                batch.add_record(table, *piece)
    landing.land(batch)
    return len(rows), batch.records


def _records(body: bytes, asked: dict[str, str], path: tuple[str, ...] | None) -> Sequence[bytes]:
    """The records in rejected bytes, which are a reply, a push, or one record of either.

    `path` is where the endpoint's replies hold their records; None if the source is no endpoint.
    """
    if path is None:
        # A push has a content type. Without one it is a reply of an endpoint that is switched off.
        return take_apart(asked["content_type"], body).records if "content_type" in asked else ()
    try:
        reply = slice_reply(body, path)
    except NotSliceable:
        return ()
    # A reply has a code. Bytes without one are a single record that was not text.
    return reply.records if reply.code else (body,)
