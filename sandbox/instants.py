"""From Unix seconds (int, UTC) to the API's text forms and the fleet's days, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache

MINUTE = 60
HOUR = 3600
DAY = 86_400

EAT_OFFSET = 3 * HOUR
"""Africa/Nairobi and Africa/Kampala: UTC+3, no daylight saving."""

_EPOCH = date(1970, 1, 1).toordinal()
_SEAM = 4 * HOUR - EAT_OFFSET
"""Operating days begin at 04:00 EAT, when every vehicle is parked, so that no trip spans two."""


def instant(*when: int) -> int:
    """Unix seconds of a UTC time, e.g. `instant(2026, 4, 12, 9)`."""
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]


def eat_day(at: int) -> date:
    """The calendar day in Nairobi at this instant."""
    return date.fromordinal(_EPOCH + (at + EAT_OFFSET) // DAY)


def eat_bounds(day: date) -> tuple[int, int]:
    """(start, end) of an EAT day in Unix seconds; `end` is the start of the next day."""
    start = (day.toordinal() - _EPOCH) * DAY - EAT_OFFSET
    return start, start + DAY


def operating_day(at: int) -> int:
    """Number of the operating day (days since 1970-01-01, 04:00 EAT to 04:00 EAT)."""
    return (at - _SEAM) // DAY


def operating_start(day: int) -> int:
    """04:00 EAT of this operating day."""
    return day * DAY + _SEAM


@lru_cache(maxsize=4096)
def _date_text(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()


def plain(at: int) -> str:
    """`2026-03-02 09:30:05`, UTC, the API's usual form (docs/TRACKSOLID_API.md#time)."""
    day, second = divmod(at, DAY)
    minute, second = divmod(second, 60)
    return f"{_date_text(day)} {minute // 60:02}:{minute % 60:02}:{second:02}"


def iso(at: int) -> str:
    """`2026-03-02T09:30:05.000Z`, the form of the parking report (docs/TRACKSOLID_API.md#time)."""
    return f"{plain(at).replace(' ', 'T')}.000Z"


def parse(text: str) -> int:
    """Unix seconds of a time in the API's usual form. Raises ValueError for any other form."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())
