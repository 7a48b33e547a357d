"""From bare positions to trips and stops, as a tracker without an ignition wire reports them.

- A fix is a glitch if the vehicle would have had to drive faster than 160 km/h to it from the last
  credible fix. It is served as a fix, but distances, trips and stops ignore it.
- Between two credible fixes, a vehicle *moved* if it covered at least 30 m at 5 km/h or more on
  average; otherwise it *stood*. A silence of more than 5 min within 250 m counts as standing (the
  tracker slept). A silence of more than 5 min over a longer distance is *unknown*: it ends the trip
  or stop before it.
- Standing for less than 3 min between two moves belongs to the trip. Moves of less than 100 m in
  all are drift during a stop.
- The remaining moves are trips. The distance of a trip is the great-circle length over its credible
  fixes.
- A stop is standing for at least 3 min. It counts as idling (ignition on) if it lasts 15 min at
  most and the tracker never slept for more than 2 min; otherwise as parked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

from sandbox.entities import StopKind
from sandbox.geometry import GeoPoint, distance_m
from sandbox.instants import MINUTE

IMPOSSIBLE_KMH = 160.0
MOVING_KMH = 5.0
MOVING_M = 30.0
SILENCE_S = 5 * MINUTE
SAME_PLACE_M = 250.0
SHORTEST_STOP_S = 3 * MINUTE
SHORTEST_TRIP_M = 100.0
LONGEST_IDLING_S = 15 * MINUTE
LONGEST_NAP_S = 2 * MINUTE


class Position(NamedTuple):
    """A recorded fix: Unix seconds and degrees."""

    at: int
    point: GeoPoint


class State(Enum):
    """What a vehicle did between two fixes."""

    MOVING = "moving"
    STANDING = "standing"
    UNKNOWN = "unknown"


class Hop(NamedTuple):
    """The movement from one credible fix to the next."""

    start: Position
    end: Position
    metres: float
    state: State

    @property
    def seconds(self) -> int:
        return self.end.at - self.start.at

    @property
    def speed_kmh(self) -> float:
        return self.metres / self.seconds * 3.6


class Spell(NamedTuple):
    """Consecutive hops with the same state."""

    state: State
    hops: tuple[Hop, ...]

    @property
    def start(self) -> Position:
        return self.hops[0].start

    @property
    def end(self) -> Position:
        return self.hops[-1].end

    @property
    def seconds(self) -> int:
        return self.end.at - self.start.at

    @property
    def metres(self) -> float:
        return sum(hop.metres for hop in self.hops)

    @property
    def stop_kind(self) -> StopKind:
        longest_nap = max(hop.seconds for hop in self.hops)
        is_waiting = self.seconds <= LONGEST_IDLING_S and longest_nap <= LONGEST_NAP_S
        return StopKind.IDLING if is_waiting else StopKind.PARKED


def spells(positions: Sequence[Position]) -> list[Spell]:
    """The trips (MOVING) and stops (STANDING) of one device, in order.

    `positions` have to be sorted by time.
    """
    drift_settled = _runs(
        hop._replace(state=State.STANDING) if _is_drift(spell) else hop
        for spell in _runs(_hops(positions))
        for hop in spell.hops
    )
    found = _runs(
        hop._replace(state=State.MOVING) if is_pause else hop
        for spell, is_pause in _pauses(drift_settled)
        for hop in spell.hops
    )
    return [spell for spell in found if _is_reported(spell)]


def _is_drift(spell: Spell) -> bool:
    return spell.state is State.MOVING and spell.metres < SHORTEST_TRIP_M


def _is_reported(spell: Spell) -> bool:
    if spell.state is State.STANDING:
        return spell.seconds >= SHORTEST_STOP_S
    return spell.state is State.MOVING


def _pauses(found: Sequence[Spell]) -> Iterator[tuple[Spell, bool]]:
    """(spell, whether it is only a pause within a trip) of all spells."""
    states = [None, *(spell.state for spell in found), None]
    for before, spell, after in zip(states, found, states[2:], strict=False):
        is_between_moves = before is after is State.MOVING
        yield spell, is_between_moves and _is_short(spell)


def _is_short(spell: Spell) -> bool:
    return spell.state is State.STANDING and spell.seconds < SHORTEST_STOP_S


def _runs(hops: Iterable[Hop]) -> list[Spell]:
    return [Spell(state, tuple(run)) for state, run in groupby(hops, attrgetter("state"))]


def credible(positions: Sequence[Position]) -> Iterator[Position]:
    """The positions without glitches."""
    last: Position | None = None
    for position in positions:
        if last is not None:
            metres = distance_m(last.point, position.point)
            if metres / (position.at - last.at) * 3.6 > IMPOSSIBLE_KMH:
                continue
        yield position
        last = position


def _hops(positions: Sequence[Position]) -> Iterator[Hop]:
    for start, end in pairwise(credible(positions)):
        metres = distance_m(start.point, end.point)
        seconds = end.at - start.at
        if seconds > SILENCE_S:
            state = State.STANDING if metres <= SAME_PLACE_M else State.UNKNOWN
        else:
            is_moving = metres >= MOVING_M and metres / seconds * 3.6 >= MOVING_KMH
            state = State.MOVING if is_moving else State.STANDING
        yield Hop(start, end, metres, state)
