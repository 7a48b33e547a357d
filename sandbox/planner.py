"""From a duty, a date and a seed to the plan of that day: legs, idling, failures."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from sandbox.drive import Drive
from sandbox.instants import HOUR, MINUTE, operating_start
from sandbox.plan import SILENCE_AFTER_CUT, Gap, Kind, Phase, Plan
from sandbox.roads import Site, route
from sandbox.roster import Duty

_SEAM_HOUR = 4
"""EAT hour at which an operating day begins."""


def make_plan(seed: int, vehicle: int, day: int, duty: Duty, *, is_steady: bool = False) -> Plan:
    """The plan of one operating day; the same arguments give the same plan in any process.

    A steady vehicle never loses signal or power.
    """
    rng = Random(f"plan/{seed}/{vehicle}/{day}")
    builder = _Builder(day, duty.sites[0])
    for number, (here, there) in enumerate(pairwise(duty.sites)):
        if number == 0:
            builder.stand(Kind.PARKED, until=builder.clock + _departure_s(rng, duty))
        elif number == duty.late_leg:
            builder.stand(Kind.PARKED, until=builder.late_start(rng.randrange(45 * MINUTE)))
        else:
            _job(builder, rng)
        builder.drive(here, there, rng)
    if len(duty.sites) > 1 and rng.random() < 0.3:
        builder.stand(Kind.IDLING, until=builder.clock + rng.randint(2 * MINUTE, 5 * MINUTE))
    cut = None if is_steady or rng.random() >= 0.006 else builder.power_cut(rng)
    builder.stand(Kind.PARKED, until=builder.seam)
    gap = None if is_steady or rng.random() >= 0.09 else _gap(builder.phases, rng)
    return Plan(tuple(builder.phases), gap, cut)


def _departure_s(rng: Random, duty: Duty) -> int:
    """Seconds after 04:00 EAT at which the vehicle sets off."""
    earliest, latest = (5.5, 6.25) if duty.is_long_haul else (6.6, 8.4)
    return int((rng.uniform(earliest, latest) - _SEAM_HOUR) * HOUR)


def _job(builder: _Builder, rng: Random) -> None:
    """Arrive, perhaps with the engine on, work, perhaps warm up before leaving."""
    if rng.random() < 0.5:
        builder.stand(Kind.IDLING, until=builder.clock + rng.randint(2 * MINUTE, 14 * MINUTE))
    builder.stand(Kind.PARKED, until=builder.clock + rng.randint(25 * MINUTE, 95 * MINUTE))
    if rng.random() < 0.35:
        builder.stand(Kind.IDLING, until=builder.clock + rng.randint(MINUTE, 5 * MINUTE))


def _gap(phases: list[Phase], rng: Random) -> Gap | None:
    """A loss of signal that begins on the road and may outlast the drive."""
    drives = [phase for phase in phases if phase.kind is Kind.DRIVING]
    if not drives:
        return None
    drive = rng.choice(drives)
    start = rng.randrange(drive.start, drive.end)
    # The gap ends within the day, so that one plan contains all of it.
    return Gap(start, min(start + rng.randint(10 * MINUTE, 50 * MINUTE), phases[-1].end - HOUR))


class _Builder:
    """Adds phases one after the other, from 04:00 EAT to 04:00 EAT of the next day."""

    def __init__(self, day: int, home: Site) -> None:
        self.phases: list[Phase] = []
        self.clock = operating_start(day)
        self.seam = operating_start(day + 1)
        self._site = home
        self._metres = 0.0

    def stand(self, kind: Kind, until: int) -> None:
        """Add a phase without motion until this instant, unless it is over already."""
        if until > self.clock:
            self._add(kind, until)

    def drive(self, here: Site, there: Site, rng: Random) -> None:
        """Add a drive from one site to another."""
        drive = Drive(route(here, there), self.clock, rng)
        self._add(Kind.DRIVING, drive.end, drive)
        self._metres += drive.route.length_m
        self._site = there

    def late_start(self, delay_s: int) -> int:
        """Unix seconds at which a call-out leaves: 23:10 EAT or later, after the day's work."""
        call_out = self.seam - _SEAM_HOUR * HOUR - 50 * MINUTE + delay_s
        return max(self.clock + 20 * MINUTE, call_out)

    def power_cut(self, rng: Random) -> int | None:
        """Unplug the battery of the parked vehicle: no data for the rest of the day.

        Returns the Unix seconds of the cut, None if the day is too short for one.
        """
        cut = self.clock + rng.randint(30 * MINUTE, 90 * MINUTE)
        if cut + SILENCE_AFTER_CUT + HOUR > self.seam:
            return None
        self.stand(Kind.PARKED, until=cut + SILENCE_AFTER_CUT)
        self._add(Kind.SILENT, self.seam)
        return cut

    def _add(self, kind: Kind, end: int, drive: Drive | None = None) -> None:
        site = self._site
        self.phases.append(
            Phase(kind, self.clock, end, site.point, site.address, self._metres, drive)
        )
        self.clock = end
