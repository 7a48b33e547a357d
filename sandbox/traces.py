"""From a file of recorded fixes to a World, the interface that the made-up fleet has too."""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from pathlib import Path

from sandbox.entities import Account, Alarm, Device, Fence, GpsFix, Stop, StopKind, Trip
from sandbox.geometry import GeoPoint, bearing_deg, distance_m
from sandbox.instants import parse
from sandbox.trace_rules import IMPOSSIBLE_KMH, Position, Spell, State, spells
from sandbox.world import World

ACCOUNT = Account("sandbox_taxis", "Recorded vehicles")
_AT, _START = attrgetter("at"), attrgetter("start")


class Traces(World):
    """A fleet from a CSV file, plain or gzip: `imei,gps_time,lat,lng`, UTC.

    trace_rules.py derives trips and stops; there are no alarms and no fences. The data clock is
    fixed at the end of the recording, or at `now` (Unix seconds): later fixes have not happened
    yet. Raises ValueError if there is no fix before the data clock.
    """

    def __init__(self, path: Path | str, now: int | None = None) -> None:
        recorded = _read(Path(path), now)
        if not recorded:
            raise ValueError(f"{path} holds no fix before the data clock")
        self.accounts: Sequence[Account] = (ACCOUNT,)
        self.fences: Sequence[Fence] = ()
        self.first = min(positions[0].at for positions in recorded.values())
        self._now = now or max(positions[-1].at for positions in recorded.values())
        self.devices = {
            imei: Device(imei, f"TAXI-{imei[-3:]}", "AT4", ACCOUNT.account, "taxi")
            for imei in recorded
        }
        found = {imei: spells(positions) for imei, positions in recorded.items()}
        self._trips = {imei: _trips(one) for imei, one in found.items()}
        self._stops = {imei: _stops(one) for imei, one in found.items()}
        self._fixes = {imei: list(_fixes(all_, found[imei])) for imei, all_ in recorded.items()}

    def now(self) -> int:
        return self._now

    def last_fix(self, imei: str) -> GpsFix | None:
        return self._fixes[imei][-1]

    def last_heartbeat(self, imei: str) -> int | None:
        return self._fixes[imei][-1].at

    def fixes(self, imei: str, start: int, end: int) -> Iterator[GpsFix]:
        fixes = self._fixes[imei]
        first = bisect_left(fixes, start, key=_AT)
        yield from fixes[first : bisect_right(fixes, end, key=_AT)]

    def trips(self, imei: str, start: int, end: int) -> list[Trip]:
        return [trip for trip in self._trips[imei] if trip.start <= end and trip.end >= start]

    def stops(self, imei: str, start: int, end: int) -> list[Stop]:
        return [stop for stop in self._stops[imei] if stop.start <= end and stop.end >= start]

    def alarms(self, imei: str, start: int, end: int) -> list[Alarm]:  # noqa: ARG002
        """Always empty, because a recording has no alarms."""
        return []

    def odometer_m(self, imei: str, at: int) -> float:
        """Metres of all trips since the recording began; within a trip, proportional to time."""
        started = bisect_right(self._trips[imei], at, key=_START)
        if not started:
            return 0.0
        trip = self._trips[imei][started - 1]
        share = min(1.0, (at - trip.start) / trip.driving_s)
        return trip.odometer_start_m + trip.distance_m * share


def _read(path: Path, now: int | None) -> dict[str, list[Position]]:
    """Positions by IMEI, sorted by time, at most one per second."""
    opener = gzip.open if path.suffix == ".gz" else open
    recorded: dict[str, dict[int, Position]] = {}
    with opener(path, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            at = parse(row["gps_time"])
            if now is None or at <= now:
                point = GeoPoint(float(row["lat"]), float(row["lng"]))
                recorded.setdefault(row["imei"], {})[at] = Position(at, point)
    return {imei: sorted(positions.values()) for imei, positions in recorded.items()}


def _trips(found: Sequence[Spell]) -> list[Trip]:
    moves = [spell for spell in found if spell.state is State.MOVING]
    odometers = accumulate((spell.metres for spell in moves), initial=0.0)
    return [
        Trip(
            spell.start.at,
            spell.end.at,
            spell.start.point,
            spell.end.point,
            spell.metres,
            max(hop.speed_kmh for hop in spell.hops),
            odometer_m,
        )
        for spell, odometer_m in zip(moves, odometers, strict=False)
    ]


def _stops(found: Sequence[Spell]) -> list[Stop]:
    return [
        Stop(spell.stop_kind, spell.start.at, spell.end.at, spell.start.point, "")
        for spell in found
        if spell.state is State.STANDING
    ]


def _fixes(positions: Sequence[Position], found: Sequence[Spell]) -> Iterator[GpsFix]:
    """Fixes with speed and heading from the previous fix; ignition on in trips and idling stops."""
    running = [
        (spell.start.at, spell.end.at)
        for spell in found
        if spell.state is State.MOVING or spell.stop_kind is StopKind.IDLING
    ]
    starts = [start for start, _ in running]
    speed_kmh, heading_deg = 0.0, 0.0
    for number, position in enumerate(positions):
        if number:
            before = positions[number - 1]
            metres = distance_m(before.point, position.point)
            speed_kmh = min(metres / (position.at - before.at) * 3.6, IMPOSSIBLE_KMH)
            if metres > 0:
                heading_deg = bearing_deg(before.point, position.point)
        index = bisect_right(starts, position.at) - 1
        is_on = index >= 0 and position.at <= running[index][1]
        lat, lng = position.point
        yield GpsFix(position.at, lat, lng, speed_kmh, heading_deg, is_on, 9)
