"""From one day's plan to its alarms: harsh driving, speeding, power cuts, vibration, fences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from sandbox.entities import Alarm, Fence
from sandbox.geometry import GeoPoint
from sandbox.instants import MINUTE
from sandbox.plan import Kind, Phase, Plan
from sandbox.roads import Route

DASHCAM_IDS = {"41": "144", "48": "145"}
"""The same events as a video recorder reports them (docs/TRACKSOLID_API.md#alarm-types)."""


def alarms_of(plan: Plan, fences: Sequence[Fence], rng: Random) -> Iterator[Alarm]:
    """The alarms of one operating day of a vehicle, unsorted.

    `fences` are those the device is bound to. The same `rng` state gives the same alarms.
    """
    for phase in plan.phases:
        if phase.drive:
            for at, alarm_type in phase.drive.incidents():
                yield _alarm(phase, at, alarm_type)
            for fence in fences:
                yield from _crossings(phase, fence)
        elif phase.kind is Kind.PARKED and rng.random() < 0.02:
            yield _alarm(phase, rng.randrange(phase.start, phase.end), "3")
    if plan.power_cut is not None:
        phase = plan.phase_at(plan.power_cut)
        yield _alarm(phase, plan.power_cut, "2")
        yield _alarm(phase, plan.power_cut + 9 * MINUTE, "25")


def _alarm(phase: Phase, at: int, alarm_type: str, fence: Fence | None = None) -> Alarm:
    if phase.drive is None:
        return Alarm(at, alarm_type, phase.point, 0.0, fence)
    lat, lng, _, speed = phase.drive.place(at)
    return Alarm(at, alarm_type, GeoPoint(lat, lng), speed, fence)


def _crossings(phase: Phase, fence: Fence) -> Iterator[Alarm]:
    """Alarms `in` and `out`, each at the first fix on the other side of the fence."""
    if phase.drive is None or not _may_meet(phase.drive.route, fence):
        return
    was_inside = fence.holds(phase.point)
    for at in phase.fix_times(phase.start, phase.end):
        lat, lng, _, _ = phase.drive.place(at)
        is_inside = fence.holds(GeoPoint(lat, lng))
        word = "in" if is_inside else "out"
        if is_inside != was_inside and word in fence.alert_type.split(","):
            yield _alarm(phase, at, word, fence)
        was_inside = is_inside


def _may_meet(route: Route, fence: Fence) -> bool:
    """True if the bounding boxes overlap. For most drives this makes the exact test unnecessary."""
    south, west, north, east = route.box
    reach = (fence.radius_m or 0) / 100_000
    lats = [point.lat for point in fence.points]
    lngs = [point.lng for point in fence.points]
    return (
        south <= max(lats) + reach
        and min(lats) - reach <= north
        and west <= max(lngs) + reach
        and min(lngs) - reach <= east
    )
