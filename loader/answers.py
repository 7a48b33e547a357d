"""What the client hands to the landing: calls as they were made, and the records they brought."""

from dataclasses import dataclass, field
from datetime import datetime

from loader.endpoints import Ask


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
class Page:
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
    pages: list[Page] = field(default_factory=list)
    failed: list[Page] = field(default_factory=list)
    error: str | None = None
    refused: str | None = None  # the API's code, when it said no for good
    is_cut: bool = False  # as many rows as one query can give: there may be more
