"""From form parameters to typed values. A wrong value raises ApiError with the documented code.

Limits and paging: docs/TRACKSOLID_API.md#limits and #paging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sandbox.entities import Account, Device
from sandbox.faults import Fault
from sandbox.instants import parse
from sandbox.reply import ApiError
from sandbox.reports import Reports
from sandbox.world import World

T = TypeVar("T")

MOST_IMEIS = 50
"""Most IMEIs in a call. The vendor allows more for some methods; the sandbox never does."""
_CLOCK_TOLERANCE_S = 60


class RowRange(NamedTuple):
    """One page: how many rows to skip and how many to send."""

    skip: int
    size: int

    def of(self, rows: Sequence[T]) -> Sequence[T]:
        """The rows of this page."""
        return rows[self.skip : self.skip + self.size]


@dataclass(frozen=True, slots=True)
class MethodCall:
    """The parameters of one authorised call, and the world it asks about."""

    world: World
    reports: Reports
    params: Mapping[str, str]
    fault: Fault | None = None
    """What is wrong with a report of trips or stops."""

    def has(self, name: str) -> bool:
        """True if the parameter has a value."""
        return bool(self.params.get(name))

    def text(self, name: str) -> str:
        """The value of a required parameter. Raises ApiError 1001 if it is missing or empty."""
        if not self.has(name):
            raise ApiError(1001, f"Parameter validation failed: {name}")
        return self.params[name]

    def number(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`; required if there is no default.

        Raises ApiError 1001.
        """
        if default is not None and not self.has(name):
            return default
        text = self.text(name)
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ApiError(1001, f"Parameter validation failed: {name}")
        return int(text)

    def account(self, name: str) -> Account:
        """The account that a parameter names. Raises ApiError 1002 if it is not in the tree."""
        wanted = self.text(name)
        for account in self.world.accounts:
            if account.account == wanted:
                return account
        raise ApiError(1002, "Illegal account")

    def device(self, name: str = "imei") -> Device:
        """The device that a parameter names. Raises ApiError 1001 (no IMEI), 1002 (foreign)."""
        return self._own(self.text(name))

    def devices(self, name: str = "imeis") -> list[Device]:
        """The devices in a list with commas, each once.

        Raises ApiError 1001 (no IMEI), 220 (more than 50), 1002 (foreign).
        """
        imeis = list(dict.fromkeys(self.text(name).split(",")))
        if len(imeis) > MOST_IMEIS:
            raise ApiError(220, "Too many IMEIs")
        return [self._own(imei) for imei in imeis]

    def window(self, start: str, end: str, longest_s: int | None = None) -> tuple[int, int]:
        """[start, end] in Unix seconds, both included.

        Raises ApiError 1001 if it ends in the future, is longer than `longest_s` or cannot be read.
        """
        first, last = self._instant(start), self._instant(end)
        if first > last or last > self.world.now() + _CLOCK_TOLERANCE_S:
            raise ApiError(1001, f"Parameter validation failed: {start}, {end}")
        if longest_s is not None and last - first > longest_s:
            raise ApiError(1001, "Parameter validation failed: the time range is too long")
        return first, last

    def rows(self) -> RowRange:
        """The page given by `start_row` (from 0) and `page_size`; both are required."""
        return RowRange(self.number("start_row", 0, 10**9), self.number("page_size", 1, 100))

    def optional_rows(self) -> RowRange:
        """The page of track_mileage, where both parameters are optional; at most 100 rows."""
        skip = self.number("start_row", 0, 10**9, default=0)
        return RowRange(skip, self.number("page_size", 1, 100, default=100))

    def numbered_page(self, largest: int, default: int) -> RowRange:
        """The page given by `page_no` (from 1) and `page_size`; both are optional."""
        size = self.number("page_size", 1, largest, default)
        return RowRange((self.number("page_no", 1, 10**9, default=1) - 1) * size, size)

    def report(self, make: Callable[[], T]) -> T:
        """The whole answer to this query: `make` is called once for all pages with this fault."""
        return self.reports.once({**self.params, "fault": self.fault or ""}, make)

    def _own(self, imei: str) -> Device:
        if not imei.isascii() or not imei.isdigit():
            raise ApiError(1001, "Parameter validation failed: imei")
        device = self.world.devices.get(imei)
        if device is None:
            raise ApiError(1002, "Illegal device")
        return device

    def _instant(self, name: str) -> int:
        try:
            return parse(self.text(name))
        except ValueError:
            raise ApiError(1001, f"Parameter validation failed: {name}") from None
