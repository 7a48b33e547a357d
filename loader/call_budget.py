"""The budget of API calls: so many a second and so many at once, for all threads of the process."""

import heapq
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# How often a thread that waits looks whether the process stops, in seconds.
LOOK_S = 0.2
# From so many calls at once on, one of them is kept for urgent calls: the others may take minutes.
MOST_WITHOUT_RESERVE = 3


class Stopped(Exception):
    """The loader is stopping: this call is not made."""


class CallBudget:
    """Hands out the right to make a call. Thread-safe.

    Urgent calls go before all others that wait, otherwise first come, first served. pyrate-limiter
    was tried first: with four threads it let 14 calls a second through of 50.
    """

    def __init__(self, per_second: float, parallel: int, stopping: threading.Event) -> None:
        """Take the two limits, and the event after which no call is made any more."""
        self._gap_s = 1 / per_second
        self._parallel = parallel
        self._stopping = stopping
        self._free_at = time.monotonic()
        self._running = 0
        self._numbers = itertools.count()
        self._queue: list[tuple[bool, int]] = []
        self._changed = threading.Condition()

    @contextmanager
    def call(self, *, urgent: bool = False) -> Iterator[None]:
        """Wait for the turn of one call, and count it as running inside the context.

        Raises Stopped if the loader stops meanwhile.
        """
        with self._changed:
            ticket = (not urgent, next(self._numbers))
            heapq.heappush(self._queue, ticket)
            try:
                while (wait_s := self._wait_s(ticket)) > 0:
                    self._changed.wait(min(wait_s, LOOK_S))
                self._running += 1
                self._free_at = max(self._free_at, time.monotonic()) + self._gap_s
            finally:
                self._queue.remove(ticket)
                heapq.heapify(self._queue)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _wait_s(self, ticket: tuple[bool, int]) -> float:
        """How long to wait at least; 0 if it is this ticket's turn now."""
        if self._stopping.is_set():
            raise Stopped
        is_urgent = not ticket[0]
        reserved = 0 if is_urgent or self._parallel <= MOST_WITHOUT_RESERVE else 1
        if self._queue[0] != ticket or self._running >= self._parallel - reserved:
            return LOOK_S
        return max(0.0, self._free_at - time.monotonic())
