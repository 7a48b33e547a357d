"""Fault rules: which calls go wrong, in which way and how often."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from threading import Lock


class Fault(StrEnum):
    """A failure as a client sees it."""

    RATE_LIMITED = "rate_limited"
    """Code 1006."""
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a name
    """Code 1004, and the token is no longer valid."""
    SYSTEM_BUSY = "system_busy"
    """Code -1."""
    HTTP_500 = "http_500"
    HTML_PAGE = "html_page"
    """HTTP 200 with a page of HTML."""
    CUT_OFF = "cut_off"
    """Half of the body that Content-Length announces, then the end of the connection."""
    NOT_JSON = "not_json"
    """Half of the body, with the right Content-Length."""
    STALL = "stall"
    """No answer for some seconds, then the true one."""
    RESET = "reset"
    """A TCP reset instead of an answer."""
    REPEATED_PAGE = "repeated_page"
    """Page one instead of the page that was asked for; with rate 1 the method has no paging."""
    FOREIGN_DEVICE = "foreign_device"
    """Code 1002 if the call names the fleet's first device, as if another account had it now."""
    EMPTY_TEXT = "empty_text"
    """`""` instead of null if there are no records."""
    MOVED_START = "moved_start"
    """Trips and stops begin 9 s later. This and the next three faults need a report of them."""
    MERGED = "merged"
    """Two trips, or two stops of one kind, become one."""
    SPLIT = "split"
    """A trip or stop becomes two."""
    UNKNOWN_MEASURES = "unknown_measures"
    """Distances and durations are null."""
    SHUFFLED = "shuffled"
    """The records in a different order."""
    SHORT_PAGE = "short_page"
    """Only the first 50 records of the page, without a sign of it."""
    ESCAPED = "escaped"
    """Texts that begin with a letter begin with its escape, as in `\\u0053mith`."""
    NULL_IMEI = "null_imei"
    """`"imei": null` beside `deviceImei`."""
    NUMERIC_ID = "numeric_id"
    """The id of a fence as a number instead of a text."""
    UNKNOWN_SPEED = "unknown_speed"
    """A speed of 255, which means that the tracker does not know it."""
    CLOCK_AHEAD = "clock_ahead"
    """The times of one record are 3 h ahead."""
    WEEK_ROLLOVER = "week_rollover"
    """The times of one record are 1,024 weeks old."""
    CELL_TOWER = "cell_tower"
    """One fix is from a cell tower (posType LBS), 5 km off."""
    FAR_AWAY = "far_away"
    """One fix is 6,000 km away."""
    ODOMETER_WILD = "odometer_wild"
    """One odometer is 999,999 km."""
    ODOMETER_SET = "odometer_set"
    """All odometers were set 300,000 km higher in the platform."""
    ODOMETER_RESET = "odometer_reset"
    """All odometers were reset, or the trackers were replaced: less than 100 km."""
    GONE = "gone"
    """The last record is left out, as of a device that has left the account."""
    NUL_ESCAPE = "nul_escape"
    """`\\u0000` in a text of one record. This and the faults below spoil one record of a reply."""
    RAW_NUL = "raw_nul"
    BAD_UTF8 = "bad_utf8"
    LONE_SURROGATE = "lone_surrogate"
    NAN = "nan"
    BIG_INTEGER = "big_integer"
    DEEP = "deep"
    """A new field, nested 1,200 levels deep."""
    WRONG_TYPE = "wrong_type"
    """A text, an object or a list where a number belongs."""
    NEW_FIELD = "new_field"
    MISSING_FIELD = "missing_field"
    """A record without its first time."""
    DUPLICATE_KEY = "duplicate_key"


POISON = frozenset(list(Fault)[list(Fault).index(Fault.NUL_ESCAPE) :])
ODDITIES = frozenset((Fault.ESCAPED, Fault.NULL_IMEI, Fault.NUMERIC_ID, Fault.UNKNOWN_SPEED))
"""Valid records, written otherwise: these faults change all records of a reply."""
WRONG_EVERYWHERE = frozenset({Fault.ODOMETER_SET, Fault.ODOMETER_RESET})
WRONG = WRONG_EVERYWHERE | {
    *(Fault.CLOCK_AHEAD, Fault.WEEK_ROLLOVER, Fault.CELL_TOWER, Fault.FAR_AWAY),
    Fault.ODOMETER_WILD,
}
"""Reports of trackers with a wrong clock, place or odometer."""
ON_RECORDS = POISON | ODDITIES | WRONG | {Fault.SHUFFLED, Fault.SHORT_PAGE, Fault.GONE}
"""Faults that need a reply with records: their rules wait for the next reply that has some."""
ON_REPORTS = frozenset((Fault.MOVED_START, Fault.MERGED, Fault.SPLIT, Fault.UNKNOWN_MEASURES))
"""Faults of reports of trips and stops; other methods do not have them."""
ON_CALLS = frozenset(Fault) - ON_RECORDS - ON_REPORTS

_LOGIN = "jimi.oauth.token."


@dataclass(slots=True)
class FaultRule:
    """Which calls fail, and how. The method "*" means all except the token methods."""

    method: str
    fault: Fault
    times: int | None
    """How many more calls fail; None means no limit."""
    rate: float
    """Share of the calls that fail, from 0 to 1."""
    after: int
    """How many calls succeed before the first fault."""
    seconds: float
    """Length of a stall, seconds."""

    def concerns(self, method: str) -> bool:
        """True if the rule is about this method."""
        if self.method == "*":
            return not method.startswith(_LOGIN)
        return self.method == method


class Script:
    """The fault rules, of which the first that fires wins. Thread-safe.

    The same seed gives the same faults.
    """

    def __init__(self, seed: int) -> None:
        self._rules: list[FaultRule] = []
        self._rng = Random(f"faults/{seed}")
        self._lock = Lock()

    def add(self, rule: FaultRule) -> None:
        """Add a rule after the others."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._rules.clear()

    def next(self, method: str, faults: Set[Fault]) -> FaultRule | None:
        """The rule for one of `faults` that fires for this call; None if no rule fires."""
        with self._lock:
            for rule in self._rules:
                if rule.fault in faults and rule.concerns(method) and self._fires(rule):
                    return rule
        return None

    def _fires(self, rule: FaultRule) -> bool:
        if rule.after > 0:
            rule.after -= 1
            return False
        if self._rng.random() >= rule.rate:
            return False
        if rule.times is not None:
            rule.times -= 1
            if rule.times == 0:
                self._rules.remove(rule)
        return True
