"""From a vehicle's phases to its state at any second of one operating day.

Positions, fixes, trips and stops are computed from the phases; no point is stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from enum import Enum
from operator import attrgetter
from typing import NamedTuple

from sandbox.drive import Drive
from sandbox.entities import GpsFix
from sandbox.geometry import GeoPoint
from sandbox.instants import MINUTE

SILENCE_AFTER_CUT = 10 * MINUTE
"""How long the battery of the tracker lasts after the vehicle's battery is disconnected."""
_START = attrgetter("start")


class Kind(Enum):
    """What a vehicle does in a phase."""

    PARKED = 1800
    """The value is the number of seconds between two fixes."""
    IDLING = 60
    DRIVING = 20
    SILENT = 0
    """No power: nothing is measured, so nothing is sent later either."""


class Phase(NamedTuple):
    """What a vehicle does from `start` to just before `end`."""

    kind: Kind
    start: int
    end: int
    point: GeoPoint
    """Where the vehicle is at the start."""
    address: str
    metres: float
    """Metres driven on this operating day before the phase begins."""
    drive: Drive | None = None

    def metres_at(self, at: int) -> float:
        """Metres driven on this operating day by this instant of the phase."""
        return self.metres + (self.drive.metres(at) if self.drive else 0.0)

    def fix_time(self, number: int) -> int:
        """Unix seconds of a fix by its number: regular to within 5 s; number 0 is at `start`."""
        wobble = (number * number * 7 + self.start) % 6 if number else 0
        return self.start + number * self.kind.value + wobble

    def fix_times(self, start: int, end: int) -> Iterator[int]:
        """Instants of the fixes of this phase within [start, end]."""
        if self.kind is Kind.SILENT:
            return
        number = max(0, (start - self.start) // self.kind.value - 1)
        last = min(end, self.end - 1)
        while (at := self.fix_time(number)) <= last:
            if at >= start:
                yield at
            number += 1


class Gap(NamedTuple):
    """A loss of signal: the tracker keeps the fixes of [start, end) and sends them afterwards."""

    start: int
    end: int

    @property
    def flushed(self) -> int:
        """Unix seconds at which the fixes of the gap have arrived; live ones come first."""
        return self.end + 90


class Plan(NamedTuple):
    """One operating day of one vehicle: its phases follow each other without a gap."""

    phases: tuple[Phase, ...]
    gap: Gap | None = None
    power_cut: int | None = None
    """When the battery was disconnected; the silence begins ten minutes later."""

    def phase_at(self, at: int) -> Phase:
        """The phase at this instant."""
        return self.phases[max(0, bisect_right(self.phases, at, key=_START) - 1)]

    def metres_at(self, at: int) -> float:
        """Metres driven on this operating day by this instant."""
        return self.phase_at(at).metres_at(at)

    def known_until(self, now: int) -> int:
        """Unix seconds up to which the platform has data at `now`.

        During a loss of signal, that is its start.
        """
        if self.gap and self.gap.start <= now < self.gap.end:
            return self.gap.start
        return now

    def has_arrived(self, at: int, now: int) -> bool:
        """Whether a fix measured at this instant had reached the platform by `now`."""
        if self.gap and self.gap.start <= at < self.gap.end:
            return now >= self.gap.flushed
        return at <= now

    def fixes(self, start: int, end: int, now: int, salt: int) -> Iterator[GpsFix]:
        """Fixes measured within [start, end] that have arrived by `now`."""
        for phase in self.phases:
            if phase.start > end:
                return
            if phase.end > start:
                for at in phase.fix_times(start, end):
                    if self.has_arrived(at, now):
                        yield self._fix(phase, at, salt)

    def last_fix(self, now: int, salt: int) -> GpsFix | None:
        """The newest fix of this day that has arrived by `now`."""
        for phase in reversed(self.phases):
            if phase.start > now or phase.kind is Kind.SILENT:
                continue
            number = (min(now, phase.end - 1) - phase.start) // phase.kind.value
            for candidate in range(number, -1, -1):
                at = phase.fix_time(candidate)
                if at < phase.end and self.has_arrived(at, now):
                    return self._fix(phase, at, salt)
        return None

    def _fix(self, phase: Phase, at: int, salt: int) -> GpsFix:
        """Measure: the true place, blurred by up to three metres."""
        if phase.drive:
            lat, lng, heading, speed = phase.drive.place(at)
        else:
            (lat, lng), heading, speed = phase.point, salt % 360, 0.0
        blur = (at * 2_654_435_761 + salt * 40_503) & 0xFFFF_FFFF
        return GpsFix(
            at,
            round(lat + ((blur & 0xFF) - 127.5) * 2e-7, 6),
            round(lng + ((blur >> 8 & 0xFF) - 127.5) * 2e-7, 6),
            speed,
            heading,
            phase.kind is not Kind.PARKED,
            7 + (blur >> 16) % 9,
            self.gap is not None and self.gap.start <= at < self.gap.end,
        )
