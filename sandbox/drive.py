"""From a route and a random generator to motion: place and speed at any second of one drive."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from math import ceil
from random import Random
from typing import NamedTuple

from sandbox.roads import Route

KMH = 3.6
CALM_MS2 = 1.1
"""Ordinary acceleration and braking."""
HARSH_MS2 = 4.2
FAST_KMH = 100.0
"""The fleet's overspeed limit on the platform."""


class _Target(NamedTuple):
    """The driver's next target: reach a speed (m/s) at this acceleration (m/s²), then hold it."""

    speed_ms: float
    acceleration_ms2: float
    wait_s: float = 0.0
    """Seconds to wait if the speed is 0."""


class Drive:
    """One drive, from standstill to standstill. Speed is linear between points of time (knots).

    `start` and `end` are Unix seconds.
    """

    __slots__ = (
        "_metres",
        "_seconds",
        "_speeds",
        "end",
        "max_speed_kmh",
        "route",
        "start",
    )

    def __init__(self, route: Route, start: int, rng: Random) -> None:
        self.route = route
        self.start = start
        targets = _targets(route, rng)
        while (held := route.length_m - _changing_m(targets)) < 0.1 * route.length_m:
            targets = _slower(targets)
        self._seconds, self._metres, self._speeds = _knots(targets, held)
        self.end = start + ceil(self._seconds[-1])
        self.max_speed_kmh = max(self._speeds) * KMH

    def incidents(self) -> Iterator[tuple[int, str]]:
        """Instants of alarms 41, 48 and overSpeed (docs/TRACKSOLID_API.md#alarm-types)."""
        for i in range(len(self._seconds) - 1):
            before, after = self._speeds[i], self._speeds[i + 1]
            gained = (after - before) / max(self._seconds[i + 1] - self._seconds[i], 1e-9)
            at = self.start + int(self._seconds[i + 1])
            if abs(gained) > HARSH_MS2 * 0.99:
                yield at, "41" if gained > 0 else "48"
            if before * KMH <= FAST_KMH < after * KMH:
                yield at, "overSpeed"

    def _moment(self, at: int) -> tuple[float, float]:
        """Metres since the start and speed in m/s."""
        second = at - self.start
        last = len(self._seconds) - 1
        if second >= self._seconds[last]:
            return self.route.length_m, 0.0
        i = bisect_right(self._seconds, second) - 1
        since = second - self._seconds[i]
        speed = self._speeds[i]
        gain = (self._speeds[i + 1] - speed) / (self._seconds[i + 1] - self._seconds[i])
        return (
            self._metres[i] + speed * since + gain * since * since / 2,
            speed + gain * since,
        )

    def metres(self, at: int) -> float:
        """Metres driven by this instant of the drive."""
        return self._moment(at)[0]

    def place(self, at: int) -> tuple[float, float, float, float]:
        """Latitude, longitude, heading in degrees and speed in km/h."""
        metre, speed = self._moment(at)
        return (*self.route.at(metre), speed * KMH)

    def max_speed_until(self, at: int) -> float:
        """Highest speed so far, km/h. It is exact, because speed is linear between the knots."""
        seen = bisect_right(self._seconds, at - self.start)
        return max(*self._speeds[:seen], self._moment(at)[1]) * KMH


def _targets(route: Route, rng: Random) -> list[_Target]:
    """A target for each stretch of road: some are red lights, speeding or harsh acceleration."""
    targets: list[_Target] = []
    metre = 0.0
    while metre < route.length_m:
        limit = route.limit_kmh(metre)
        is_open_road = limit >= 80
        metre += rng.uniform(1500, 6000) if is_open_road else rng.uniform(350, 1000)
        acceleration = HARSH_MS2 if rng.random() < 0.004 else CALM_MS2
        luck = rng.random()
        if not is_open_road and luck < 0.3 and targets:
            targets.append(_Target(0.0, acceleration, wait_s=rng.uniform(8, 70)))
        elif is_open_road and luck < 0.02:
            targets.append(_Target(rng.uniform(102, 122) / KMH, acceleration))
        else:
            targets.append(_Target(limit * rng.uniform(0.45, 1.0) / KMH, acceleration))
    if targets[-1].speed_ms == 0:
        targets.pop()
    return targets


def _changing_m(targets: list[_Target]) -> float:
    """Metres spent speeding up and slowing down."""
    speed, metres = 0.0, 0.0
    for target in (*targets, _Target(0.0, CALM_MS2)):
        metres += abs(target.speed_ms**2 - speed**2) / (2 * target.acceleration_ms2)
        speed = target.speed_ms
    return metres


def _slower(targets: list[_Target]) -> list[_Target]:
    """Fewer and lower targets, for a route that is too short for all of them."""
    kept = [target for target in targets if target.speed_ms > 0][: max(1, len(targets) // 2)]
    return [target._replace(speed_ms=target.speed_ms * 0.8) for target in kept]


def _knots(
    targets: list[_Target], held_m: float
) -> tuple[array[float], array[float], array[float]]:
    """(seconds, metres, m/s) since the start; `held_m` metres are driven at steady speed."""
    seconds, metres, speeds = array("d", [0.0]), array("d", [0.0]), array("d", [0.0])

    def add(duration_s: float, speed_ms: float) -> None:
        metres.append(metres[-1] + (speeds[-1] + speed_ms) / 2 * duration_s)
        seconds.append(seconds[-1] + duration_s)
        speeds.append(speed_ms)

    held_s = held_m / sum(target.speed_ms for target in targets)
    for target in targets:
        if change := abs(target.speed_ms - speeds[-1]):
            add(change / target.acceleration_ms2, target.speed_ms)
        add(target.wait_s if target.speed_ms == 0 else held_s, target.speed_ms)
    add(speeds[-1] / CALM_MS2, 0.0)
    return seconds, metres, speeds
