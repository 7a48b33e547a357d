"""From a seed and a vehicle to a roster: four weeks of duties, which repeat.

Because they repeat, the odometer of any day can be computed without the days before it.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple

from sandbox.road_map import DEPOTS, REST_STOP
from sandbox.roads import Site, route, site_at, sites

ROSTER_DAYS = 28
_MONDAY = 3
"""Added to days since 1970-01-01, a Thursday, it makes every Monday a multiple of seven."""
_WEEKEND = {5: 0.6, 6: 0.15}
"""Share of Saturdays and Sundays with work."""


class Duty(NamedTuple):
    """One operating day: the sites at which a vehicle parks, in order."""

    sites: tuple[Site, ...]
    late_leg: int | None = None
    """The number of the leg that is a call-out near midnight; None if there is none."""
    is_long_haul: bool = False

    @property
    def length_m(self) -> float:
        return sum(route(a, b).length_m for a, b in pairwise(self.sites))


class Roster:
    """The duties of one vehicle; `length_until` is its cumulative distance on any day."""

    __slots__ = ("_duties", "_lengths")

    def __init__(self, seed: int, vehicle: int, city: str, home: Site | None = None) -> None:
        rng = Random(f"roster/{seed}/{vehicle}")
        self._duties = _draw(rng, city, home or _home(rng, city))
        self._lengths = tuple(accumulate((duty.length_m for duty in self._duties), initial=0.0))

    def duty(self, day: int) -> Duty:
        """The duty of an operating day (instants.operating_day)."""
        return self._duties[(day + _MONDAY) % ROSTER_DAYS]

    def length_until(self, day: int) -> float:
        """Metres driven on all operating days before this one, counted from 1970."""
        rounds, slot = divmod(day + _MONDAY, ROSTER_DAYS)
        return rounds * self._lengths[-1] + self._lengths[slot]


def _home(rng: Random, city: str) -> Site:
    """Where a vehicle spends the night: half of them at the depot, the others at a work site."""
    return site_at(DEPOTS[city]) if rng.random() < 0.5 else rng.choice(sites(city))


def _draw(rng: Random, city: str, home: Site) -> tuple[Duty, ...]:
    away_on = _day_out(rng) if city == "Nairobi" and rng.random() < 0.3 else None
    duties = []
    for slot in range(ROSTER_DAYS):
        if away_on is not None and slot in (away_on, away_on + 1):
            duties.append(_long_haul(rng, home, outbound=slot == away_on, key=away_on))
        elif slot % 7 in _WEEKEND:
            works = rng.random() < _WEEKEND[slot % 7]
            duties.append(_tour(rng, city, home, jobs=rng.randint(1, 3) if works else 0))
        else:
            duties.append(_tour(rng, city, home, jobs=rng.randint(4, 7)))
    return tuple(duties)


def _day_out(rng: Random) -> int:
    """A Tuesday, Wednesday or Thursday of one of the four weeks."""
    return rng.randrange(4) * 7 + rng.randint(1, 3)


def _tour(rng: Random, city: str, home: Site, jobs: int) -> Duty:
    stands = [home]
    for _ in range(jobs):
        stands.append(_elsewhere(rng, city, stands[-1]))
    if not jobs:
        return Duty((home,))
    if stands[-1] != home:
        stands.append(home)
    late_leg = None
    if rng.random() < 0.05:
        late_leg = len(stands) - 1
        stands += [_elsewhere(rng, city, home), home]
    return Duty(tuple(stands), late_leg)


def _elsewhere(rng: Random, city: str, here: Site) -> Site:
    while (site := rng.choice(sites(city))) == here:
        pass
    return site


def _long_haul(rng: Random, home: Site, *, outbound: bool, key: int) -> Duty:
    """To Mombasa one day and back the next; the vehicle spends the night in Mombasa."""
    lodge = sites("Mombasa")[key % len(sites("Mombasa"))]
    job = _elsewhere(rng, "Mombasa", lodge)
    stands = (home, site_at(REST_STOP), job, lodge)
    if not outbound:
        stands = (lodge, job, site_at(REST_STOP), home)
    return Duty(stands, is_long_haul=True)
