"""The spool file, a SQLite database in WAL mode: creates, opens and measures it.

Bodies are zstd frames of a tenth of the size: while the database is down, the disk lasts ten times
longer, and a commit has less to sync. The file has mode 0600, because forms contain the token.
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

# How long the receiver waits for a transaction of the drain, and the drain for the receiver's.
BUSY_S = 5.0
VERSION = 1
# Larger than usual, because a commit holds many small pushes or a large one.
PAGE_BYTES = 16 * 1024
# A checkpoint cuts the WAL to this size; without a limit it would never become smaller.
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
# How many pushes wait, and since when. The drain deletes in the order of ids, so there are no gaps.
WAITING = """
    select coalesce(max(id) - min(id) + 1, 0),
           (select received_at from pushes where id = (select min(id) from pushes))
    from pushes
"""


class SpoolTaken(Exception):
    """Another process writes to the same spool."""


@dataclass(frozen=True)
class SpoolFigures:
    """How many pushes wait for the drain, how long, and how much room they take and have left."""

    rows: int
    oldest_age_s: float
    bytes: int
    free_bytes: int


def connect(path: Path) -> sqlite3.Connection:
    """Open the file. Each statement is a transaction of its own, on disk when it returns."""
    connection = sqlite3.connect(path, BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma journal_size_limit = {WAL_BYTES}")
    return connection


def create(path: Path) -> sqlite3.Connection:
    """Open the file for the receiver; folder, file and table are created if they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only a new file is opened here, because closing an existing file would drop SQLite's locks.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    path.chmod(0o600)  # SQLite gives the -wal and -shm files the same mode
    connection = connect(path)
    try:
        # The first two take effect only in a new file, before its first table.
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma auto_vacuum = incremental")
        connection.execute("pragma journal_mode = wal")
        connection.execute(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def take(path: Path) -> int:
    """Take the spool for this process, until the returned descriptor is closed or the process ends.

    The receiver relies on being the only writer. Raises SpoolTaken if another process has it.
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
    """A zstd frame of each body. The interpreter's lock is released once for all of them."""
    frames = zstandard.ZstdCompressor(level=1).multi_compress_to_buffer([*bodies])
    return [frames[number] for number in range(len(frames))]


def unpacked(body: bytes) -> bytes:
    """The body in a frame of `packed`; unchanged if it is no frame, as in old spools."""
    try:
        return zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError:
        return body


def measure(path: Path) -> SpoolFigures:
    """Measure the spool without a scan. Raises sqlite3.Error if the file cannot be read."""
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
    """Free bytes on the disk of the file."""
    return shutil.disk_usage(path.parent).free


def try_to_write(path: Path) -> None:
    """Commit a page that changes nothing. Raises sqlite3.Error if the file cannot be written."""
    with closing(connect(path)) as connection:
        connection.execute(f"pragma user_version = {VERSION}")
