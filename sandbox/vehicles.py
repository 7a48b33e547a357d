"""From a seed to the true motion of every vehicle at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sandbox.instants import operating_day
from sandbox.plan import Kind, Phase, Plan
from sandbox.planner import make_plan
from sandbox.roads import Site
from sandbox.roster import Roster

_LONGEST_REST_DAYS = 28
"""The length of a roster: no vehicle is parked for longer."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """Where a vehicle works; a steady one never loses signal or power."""

    city: str
    home: Site | None = None
    """Where it spends the night; None means a random place."""
    is_steady: bool = False


class Vehicles:
    """The motion of each vehicle, which depends on seed, vehicle number and day only.

    Plans are cached.
    """

    def __init__(self, seed: int, vehicles: Mapping[int, Vehicle]) -> None:
        self._seed = seed
        self._vehicles = vehicles
        self._roster = lru_cache(maxsize=None)(self._make_roster)
        # A sweep needs today's plan of every vehicle: a smaller cache would be useless.
        self.plan = lru_cache(maxsize=2_000 + 2 * len(vehicles))(self._make_plan)

    def driven_before(self, number: int, day: int) -> float:
        """Cumulative metres at the start of an operating day, computed without the days before."""
        return self._roster(number).length_until(day)

    def driven(self, number: int, at: int) -> float:
        """Cumulative metres at an instant. Only the difference of two such values has a meaning."""
        day = operating_day(at)
        return self.driven_before(number, day) + self.plan(number, day).metres_at(at)

    def phases(self, number: int, start: int, end: int) -> Iterator[Phase]:
        """All whole phases that overlap [start, end]. Parking over 04:00 EAT is one phase."""
        first, last = operating_day(start), operating_day(end)
        if start < self.plan(number, first).phases[0].end:
            first = self._day_with_motion(number, first, step=-1)
        if end >= self.plan(number, last).phases[-1].start:
            last = self._day_with_motion(number, last, step=1)
        parked: Phase | None = None
        for phase in self._laid_out(number, first, last):
            if phase.kind is Kind.PARKED:
                parked = parked._replace(end=phase.end) if parked else phase
                continue
            if parked:
                yield parked
                parked = None
            yield phase
        if parked:
            yield parked

    def _day_with_motion(self, number: int, day: int, step: int) -> int:
        """The next day in this direction on which the vehicle does more than park."""
        for _ in range(_LONGEST_REST_DAYS):
            day += step
            if len(self.plan(number, day).phases) > 1:
                break
        return day

    def _laid_out(self, number: int, first: int, last: int) -> Iterator[Phase]:
        for day in range(first, last + 1):
            yield from self.plan(number, day).phases

    def _make_roster(self, number: int) -> Roster:
        vehicle = self._vehicles[number]
        return Roster(self._seed, number, vehicle.city, vehicle.home)

    def _make_plan(self, number: int, day: int) -> Plan:
        duty = self._roster(number).duty(day)
        is_steady = self._vehicles[number].is_steady
        return make_plan(self._seed, number, day, duty, is_steady=is_steady)
