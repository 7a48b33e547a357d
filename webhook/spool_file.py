"""The spool file, a SQLite database in WAL mode: how both sides make, open and measure it.

It holds bodies as zstd frames, a tenth of what came: while the database is down they last ten times
as long, and less to sync is what makes a commit short. A form has its token among its fields: hence
mode 0600.
"""

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import zstandard

# How long one side waits for the other's transaction.
BUSY_S = 5.0
VERSION = 1
# Many small pushes, or a large one, in a commit: larger pages mean fewer of them.
PAGE_BYTES = 16 * 1024
# The WAL is cut back to this after a checkpoint; without it, it keeps the size of its worst day.
WAL_BYTES = 16 * 1024**2
TABLE = """
    create table if not exists pushes (
        id           integer primary key autoincrement,
        receipt      text not null,
        path         text not null,
        content_type text not null,
        received_at  text not null,
        body         blob not null -- a zstd frame
    )
"""
# The drain takes rows in the order of their ids, so what lies between two ids is still waiting.
WAITING = """
    select coalesce(max(id) - min(id) + 1, 0),
           (select received_at from pushes where id = (select min(id) from pushes))
    from pushes
"""


class SpoolTaken(Exception):
    """Another process receives into the same spool."""


@dataclass(frozen=True)
class SpoolFigures:
    """What waits for the drain, and the room it has."""

    rows: int
    oldest_age_s: float
    bytes: int
    free_bytes: int


def connect(path: Path) -> sqlite3.Connection:
    """Open the file; each statement is its own transaction, durable when it returns."""
    connection = sqlite3.connect(path, BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma journal_size_limit = {WAL_BYTES}")
    return connection


def create(path: Path) -> sqlite3.Connection:
    """Open the file for the receiver; folder, file and table are made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only a new file is opened here: to close a file again drops SQLite's locks on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    path.chmod(0o600)  # SQLite gives its -wal and -shm the same mode
    connection = connect(path)
    try:
        # These two count for a new file only, and before its first table.
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma auto_vacuum = incremental")
        connection.execute("pragma journal_mode = wal")
        connection.execute(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def take(path: Path) -> int:
    """Take the spool for this process until the returned descriptor is closed, or it ends.

    Two receivers of one spool would each believe to be its only writer. Raises SpoolTaken.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise SpoolTaken(
            f"another receiver uses {path}: stop it, or set another SPOOL_PATH"
        ) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def packed(bodies: list[bytes]) -> list[zstandard.BufferSegment]:
    """A zstd frame of each. All in one turn without the interpreter's lock."""
    frames = zstandard.ZstdCompressor(level=1).multi_compress_to_buffer([*bodies])
    return [frames[number] for number in range(len(frames))]


def unpacked(body: bytes) -> bytes:
    """What `packed` was given; the body itself if it is no frame, as in spools of old."""
    try:
        return zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError:
        return body


def measure(path: Path) -> SpoolFigures:
    """Count what waits, without a scan. Raises sqlite3.Error if the file cannot be read."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", BUSY_S, uri=True)) as connection:
        rows, oldest = connection.execute(WAITING).fetchone()
    age_s = (datetime.now(UTC) - datetime.fromisoformat(oldest)).total_seconds() if oldest else 0.0
    files = (path, path.with_name(f"{path.name}-wal"))
    return SpoolFigures(
        rows=rows,
        oldest_age_s=max(age_s, 0.0),
        bytes=sum(file.stat().st_size for file in files if file.exists()),
        free_bytes=free_bytes(path),
    )


def free_bytes(path: Path) -> int:
    """Room left on the disk of the file."""
    return shutil.disk_usage(path.parent).free


def try_to_write(path: Path) -> None:
    """Commit one page that changes nothing. Raises sqlite3.Error if a push could not be kept."""
    with closing(connect(path)) as connection:
        connection.execute(f"pragma user_version = {VERSION}")
