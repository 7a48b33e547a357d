"""The drain's side of the spool: reads batches of pushes, and deletes them once they have landed.

The rest of the product imports this module only, so it also exports the list of push paths and the
reader of multipart forms. Bodies are as they arrived, with their token.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from webhook.multipart_form import MultipartReader, NotAForm, is_multipart
from webhook.push_paths import OPEN_API, PUSHES, TAG
from webhook.spool_file import SpoolFigures, connect, measure, unpacked

__all__ = [
    "OPEN_API",
    "PUSHES",
    "TAG",
    "MultipartReader",
    "NotAForm",
    "Push",
    "SpoolFigures",
    "SpoolReader",
    "is_multipart",
    "measure",
]

BATCH = """
    select id, receipt, path, content_type, received_at, body
    from pushes
    order by id
    limit ?
"""
NEWEST = "select coalesce(max(id), 0) from pushes"
# Pushes are deleted in small transactions, so that the receiver never waits long.
ROWS_PER_TRANSACTION = 200
# So many free pages stay in the file for the next pushes; the rest is given back to the disk.
FREE_PAGES_KEPT = 256
PAGES_PER_TRANSACTION = 1_000


@dataclass(frozen=True)
class Push:
    """One push as it arrived; `receipt` is the id that the receiver gave it."""

    id: int
    receipt: str
    path: str
    content_type: str
    received_at: datetime
    body: bytes


class SpoolReader:
    """Reads and empties a spool. The receiver may be running."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> int:
        """The largest id; 0 if there is no push or no spool yet."""
        if not self._path.exists():
            return 0
        with closing(connect(self._path)) as connection:
            if not _has_table(connection):
                return 0
            (number,) = connection.execute(NEWEST).fetchone()
        return int(number)

    def batch(self, limit_rows: int, limit_bytes: int) -> list[Push]:
        """The oldest pushes within both limits, in the order of their ids.

        The first push is returned even if it alone is longer than `limit_bytes`. Empty if there is
        no push or no spool yet.
        """
        pushes: list[Push] = []
        size = 0
        if not self._path.exists():
            return pushes
        with closing(connect(self._path)) as connection:
            if not _has_table(connection):
                return pushes
            for number, receipt, path, content_type, received_at, frame in connection.execute(
                BATCH, [limit_rows]
            ):
                body = unpacked(frame)
                size += len(body)
                if pushes and size > limit_bytes:
                    break
                instant = datetime.fromisoformat(received_at)
                pushes.append(Push(number, receipt, path, content_type, instant, body))
        return pushes

    def forget(self, ids: Iterable[int]) -> None:
        """Delete these pushes, and shrink the file if much of it is empty."""
        numbers = [(number,) for number in ids]
        with closing(connect(self._path)) as connection:
            # If a power cut undoes the delete, the pushes are landed again with the same ids.
            connection.execute("pragma synchronous = normal")
            for start in range(0, len(numbers), ROWS_PER_TRANSACTION):
                connection.execute("begin immediate")
                part = numbers[start : start + ROWS_PER_TRANSACTION]
                connection.executemany("delete from pushes where id = ?", part)
                connection.execute("commit")
            while _free_pages(connection) > FREE_PAGES_KEPT:
                before = _free_pages(connection)
                connection.execute(f"pragma incremental_vacuum({PAGES_PER_TRANSACTION})").fetchall()
                if _free_pages(connection) >= before:
                    break  # a file that the receiver did not create cannot shrink
            connection.execute("pragma wal_checkpoint(passive)")


def _has_table(connection: sqlite3.Connection) -> bool:
    found = connection.execute("select 1 from sqlite_schema where name = 'pushes'").fetchone()
    return found is not None


def _free_pages(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("pragma freelist_count").fetchone()
    return int(pages)
