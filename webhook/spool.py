"""Writes pushes to the spool file. Requests that wait share one commit and are answered after it.

One thread writes. If a commit fails, all its requests get the error, and the next commit opens the
file again. So the receiver recovers by itself from a full disk or a locked file.
"""

import asyncio
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from webhook import spool_file

log = structlog.get_logger()

MOST_WAITING_ROWS = 10_000
MOST_WAITING_BYTES = 64 * 1024**2
MOST_ROWS_PER_COMMIT = 256
MOST_BYTES_PER_COMMIT = 16 * 1024**2
INSERT = "insert into pushes (receipt, path, content_type, received_at, body) values "
ROW = "(?, ?, ?, ?, ?)"


class Overloaded(Exception):
    """Too many pushes are waiting for the disk to be kept in memory."""


class NotStored(Exception):
    """The commit failed: the push is not on disk."""


class WaitingPush(NamedTuple):
    """A push that waits for its commit. `row` has the columns of INSERT, without the body."""

    row: tuple[str, str, str, str]
    body: bytes
    stored: asyncio.Future[None]


class Spool:
    """Appends pushes to the spool file. Use it in one event loop, between `open` and `close`.

    `on_commit` gets the number of pushes and the seconds of each commit.
    """

    def __init__(
        self, path: Path, min_free_bytes: int, on_commit: Callable[[int, float], None]
    ) -> None:
        self.path = path
        self._min_free_bytes = min_free_bytes
        self._on_commit = on_commit
        self._waiting: deque[WaitingPush] = deque()
        self._held_rows = 0
        self._held_bytes = 0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._failure: str | None = None
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "spool")

    async def open(self) -> None:
        """Create and open the file. If this fails, it is logged, and each push tries again."""
        self._loop = asyncio.get_running_loop()
        self._log_change(await self._loop.run_in_executor(self._thread, self._commit, []))
        self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Commit the pushes that wait, and close the file."""
        self._is_closing = True
        self._wake.set()
        await self._writing
        await self._loop.run_in_executor(self._thread, self._release)
        self._thread.shutdown()

    async def take_if_free(self) -> str | None:
        """Take the spool, unless this process holds it already; returns the reason if it cannot."""
        if self._lock is None:
            self._log_change(await self._loop.run_in_executor(self._thread, self._commit, []))
        return self._failure if self._lock is None else None

    async def append(self, path: str, content_type: str, body: bytes) -> str:
        """Keep a push; returns its receipt once it is on disk.

        Raises Overloaded without waiting if too much is waiting, NotStored if the commit fails.
        """
        # A push that waits alone is always accepted, because a body may be longer than this limit.
        is_over = self._held_rows and self._held_bytes + len(body) > MOST_WAITING_BYTES
        if is_over or self._held_rows >= MOST_WAITING_ROWS:
            raise Overloaded
        receipt = os.urandom(16).hex()
        received_at = datetime.now(UTC).isoformat(timespec="microseconds")
        stored = self._loop.create_future()
        self._held_rows += 1
        self._held_bytes += len(body)
        self._waiting.append(WaitingPush((receipt, path, content_type, received_at), body, stored))
        self._wake.set()
        await stored
        return receipt

    async def _write(self) -> None:
        """Commit one batch after the other; pushes that arrive during a commit are the next one."""
        while self._waiting or not self._is_closing:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._next_batch():
                began = time.perf_counter()
                failure = await self._loop.run_in_executor(self._thread, self._commit, batch)
                if failure:  # do not let the other pushes wait for the same failure
                    batch += self._waiting
                    self._waiting.clear()
                else:
                    self._on_commit(len(batch), time.perf_counter() - began)
                self._answer(batch, failure)
                self._log_change(failure)

    def _next_batch(self) -> list[WaitingPush]:
        """The oldest pushes that wait, up to the limits of a commit; empty if none waits."""
        batch: list[WaitingPush] = []
        size = 0
        while self._waiting and len(batch) < MOST_ROWS_PER_COMMIT and size < MOST_BYTES_PER_COMMIT:
            batch.append(self._waiting.popleft())
            size += len(batch[-1].body)
        return batch

    def _answer(self, batch: list[WaitingPush], failure: str | None) -> None:
        """Let the requests of these pushes go on, with an error if the commit failed."""
        for waiting in batch:
            self._held_rows -= 1
            self._held_bytes -= len(waiting.body)
            if waiting.stored.done():
                continue  # the request was cancelled
            if failure:
                waiting.stored.set_exception(NotStored(failure))
            else:
                waiting.stored.set_result(None)

    def _log_change(self, failure: str | None) -> None:
        """Log a failure when it begins and when it is over, not at each commit."""
        if failure and failure != self._failure:
            log.error("pushes cannot be kept", spool=str(self.path), reason=failure)
        elif self._failure and not failure:
            log.info("pushes are kept again")
        self._failure = failure

    def _commit(self, batch: list[WaitingPush]) -> str | None:
        """In the thread: write a batch; returns the reason if it fails, None if it is on disk.

        An empty batch takes and opens the spool.
        """
        try:
            if self._lock is None:
                self._lock = spool_file.take(self.path)
            if self._connection is None:
                self._connection = spool_file.create(self.path)
            if spool_file.free_bytes(self.path) < self._min_free_bytes:
                return f"less than {self._min_free_bytes} bytes are free on the disk"
            if batch:
                frames = spool_file.packed([waiting.body for waiting in batch])
                # One statement is one transaction and releases the interpreter's lock once. With a
                # statement per row, each would have to wait for the event loop.
                self._connection.execute(
                    INSERT + ",".join([ROW] * len(batch)),
                    [
                        value
                        for waiting, frame in zip(batch, frames, strict=True)
                        for value in (*waiting.row, frame)
                    ],
                )
        except Exception as error:  # of any kind, because the requests wait for an answer
            self._disconnect()
            return f"{type(error).__name__}: {error}"
        return None

    def _release(self) -> None:
        """In the thread: close the file, so that another receiver can take the spool."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
