"""Whole answers to queries, kept for ten seconds so that all pages of a query are consistent."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

_KEPT_S = 10.0
_MOST_REPORTS = 64
_NOT_THE_QUERY = frozenset(
    ("access_token", "page_no", "page_size", "sign", "start_row", "timestamp")
)


class Reports:
    """The answers to the last few queries. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[frozenset[tuple[str, str]], tuple[float, Any]] = OrderedDict()
        self._lock = Lock()

    def once(self, params: Mapping[str, str], make: Callable[[], T]) -> T:
        """The answer of `make`, or the one to the same query, without paging, of the last 10 s."""
        query = frozenset(pair for pair in params.items() if pair[0] not in _NOT_THE_QUERY)
        with self._lock:
            made_at, answer = self._kept.get(query, (-_KEPT_S, None))
        if time.monotonic() - made_at < _KEPT_S:
            return answer  # type: ignore[no-any-return]
        answer = make()
        with self._lock:
            self._kept[query] = time.monotonic(), answer
            while len(self._kept) > _MOST_REPORTS:
                self._kept.popitem(last=False)
        return answer
