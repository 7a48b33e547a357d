"""The one way for a test to wait: for something that will be so, and only as long as it must."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT_S = 240  # a build has low priority, so beside other work it takes its time


def eventually(
    look: Callable[[], T],
    what: str,
    *,
    within_s: float = TIMEOUT_S,
    every_s: float = 0.05,
    context: Callable[[], object] = str,
) -> T:
    """Call `look` until it returns something true, and return that.

    Fails after `within_s` seconds with `what` it waited for, the last answer of `look`, and what
    `context` says then, such as the end of a log.
    """
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {within_s:g} s for {what}; last seen: {seen!r}\n{context()}".rstrip()
            )
        time.sleep(every_s)
