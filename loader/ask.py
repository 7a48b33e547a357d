"""One question to the API and what becomes of it: its calls, pages and final answer."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loader.endpoints import Endpoint

Window = tuple[datetime, datetime]


@dataclass(frozen=True)
class Ask:
    """One question to the API; several calls if its answer has pages."""

    endpoint: Endpoint
    account: str
    subject: tuple[str, ...]  # IMEIs, or the one account or value
    window: Window | None = None
    expected: frozenset[str] = frozenset()  # IMEIs of which an answer is due

    @property
    def imeis(self) -> tuple[str, ...]:
        return self.subject if self.endpoint.per in ("device", "batch") else ()

    def halves(self) -> list["Ask"]:
        """The same question as two, by device or else by time; empty if it cannot be halved."""
        if len(self.subject) > 1:
            half = len(self.subject) // 2
            return [
                replace(self, subject=part, expected=self.expected & set(part))
                for part in (self.subject[:half], self.subject[half:])
            ]
        if self.window and self.window[1] - self.window[0] > timedelta(seconds=1):
            start, end = self.window
            middle = start + (end - start) // 2
            middle = middle.replace(microsecond=0)
            return [replace(self, window=w) for w in ((start, middle), (middle, end))]
        return []

    def __str__(self) -> str:
        span = f", {self.window[0]:%F %T} to {self.window[1]:%F %T} UTC" if self.window else ""
        about = f"{self.endpoint.asks} {','.join(self.subject)}"
        return f"{self.endpoint.method} of account {self.account} ({about}{span})"


@dataclass(frozen=True)
class Call:
    """One row of raw.api_calls: a call as it was made, whether it was answered or not.

    `window` stands on the call that completed the answer for it, and nowhere else: a window
    counts as fetched when its last page is in.
    """

    call_id: str
    endpoint: str
    method: str
    account: str
    request: str
    imeis: tuple[str, ...]
    started_at: datetime
    attempt: int
    duration_ms: float = 0.0
    http_status: int | None = None
    code: str | None = None
    message: str = ""
    envelope: bytes | None = None
    records: int = 0
    missing: tuple[str, ...] = ()
    window: tuple[datetime, datetime] | None = None


@dataclass(frozen=True)
class ReplyPage:
    """The records of one answered call, as bytes, with the call that brought them."""

    call: Call
    records: tuple[bytes, ...]
    fetched_at: datetime
    whole: bytes = b""  # the reply itself, when its records could not be found
    problem: str | None = None


@dataclass
class Answer:
    """What became of an Ask: its pages, the calls that failed on the way, and the final error."""

    ask: Ask
    pages: list[ReplyPage] = field(default_factory=list)
    failed: list[ReplyPage] = field(default_factory=list)
    error: str | None = None
    refused: str | None = None  # the API's code, when it said no for good
    is_stopped: bool = False  # set from outside or by a stop: no further call is made for it
    is_cut: bool = False  # as many rows as one query can give: there may be more
