"""The budget of API calls: how many per second and how many at once, in all threads together."""

import heapq
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# How often a waiting thread checks whether the loader is stopping, in seconds.
STOP_CHECK_S = 0.2
# If more calls than this may run at once, one of them is reserved for urgent calls, because an
# ordinary call may take minutes.
MOST_WITHOUT_RESERVE = 3


class LoaderStopped(Exception):
    """The loader is stopping, so this call is not made."""


class CallBudget:
    """Lets each call wait until the budget allows it. Thread-safe.

    Urgent calls go first; the others go in the order in which they came. The library pyrate-limiter
    was tried: with four threads and a limit of 50 calls per second, it allowed 14.
    """

    def __init__(self, per_second: float, parallel: int, stopping: threading.Event) -> None:
        """Set the two limits. Once `stopping` is set, no further call is allowed."""
        self._gap_s = 1 / per_second
        self._parallel = parallel
        self._stopping = stopping
        self._next_call_at = time.monotonic()
        self._running = 0
        self._numbers = itertools.count()
        self._queue: list[tuple[bool, int]] = []
        self._changed = threading.Condition()

    @contextmanager
    def call(self, *, urgent: bool = False) -> Iterator[None]:
        """Wait until one call is allowed; it counts as running until the context ends.

        Raises LoaderStopped if the loader stops during the wait.
        """
        with self._changed:
            ticket = (not urgent, next(self._numbers))
            heapq.heappush(self._queue, ticket)
            try:
                while (wait_s := self._wait_s(ticket)) > 0:
                    self._changed.wait(min(wait_s, STOP_CHECK_S))
                self._running += 1
                self._next_call_at = max(self._next_call_at, time.monotonic()) + self._gap_s
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
        """Seconds until this ticket may be served at the earliest; 0 if it may be served now."""
        if self._stopping.is_set():
            raise LoaderStopped
        is_urgent = not ticket[0]
        reserved = 0 if is_urgent or self._parallel <= MOST_WITHOUT_RESERVE else 1
        if self._queue[0] != ticket or self._running >= self._parallel - reserved:
            return STOP_CHECK_S
        return max(0.0, self._next_call_at - time.monotonic())
