"""One question to the API and its answer: the calls that were made and the pages they brought."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loader.endpoints import Endpoint

Window = tuple[datetime, datetime]


@dataclass(frozen=True)
class Question:
    """One question to the API. It takes several calls if its answer has several pages.

    `subject` holds the IMEIs that it asks about, or one account, or one value. `expected` holds the
    IMEIs that have to be in the answer.
    """

    endpoint: Endpoint
    account: str
    subject: tuple[str, ...]
    window: Window | None = None
    expected: frozenset[str] = frozenset()

    @property
    def imeis(self) -> tuple[str, ...]:
        """The IMEIs that it asks about; empty if it asks about an account or a value."""
        return self.subject if self.endpoint.per in ("device", "batch") else ()

    def halves(self) -> list["Question"]:
        """Split the question in two: by device or, for one device, by time.

        Returns an empty list if it cannot be split further.
        """
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
        about = f"{self.endpoint.subject_parameter} {','.join(self.subject)}"
        return f"{self.endpoint.method} of account {self.account} ({about}{span})"


@dataclass(frozen=True)
class Call:
    """One row of raw.api_calls: a call that was made, answered or not.

    Only the call that completes an answer has a `window`: a window counts as fetched once its last
    page has arrived.
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
    window: Window | None = None


@dataclass(frozen=True)
class ReplyPage:
    """The reply to one call: its records, each as the bytes that arrived.

    If no records could be found in it, `problem` says why and `whole` is the reply itself.
    """

    call: Call
    records: tuple[bytes, ...]
    fetched_at: datetime
    whole: bytes = b""
    problem: str | None = None


@dataclass
class Answer:
    """The answer to a question: its pages, the attempts that failed, and the final error.

    `refusal_code` is the API's code if it refused the question for good. `is_cut` means that the
    API returns no more rows than these to one query, so there may be more. Once `is_stopped` is
    set, which any thread may do, no further call is made.
    """

    question: Question
    pages: list[ReplyPage] = field(default_factory=list)
    failed: list[ReplyPage] = field(default_factory=list)
    error: str | None = None
    refusal_code: str | None = None
    is_stopped: bool = False
    is_cut: bool = False

    @property
    def found(self) -> int:
        """The number of records on its pages."""
        return sum(len(page.records) for page in self.pages)
