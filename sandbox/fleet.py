"""From the true motion of vehicles to what their trackers report, computed on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from random import Random

from sandbox.alarms import DASHCAM_IDS, alarms_of
from sandbox.entities import Account, Alarm, Device, Fence, GpsFix, Stop, StopKind, Trip
from sandbox.geometry import GeoPoint
from sandbox.instants import MINUTE, instant, operating_day, operating_start
from sandbox.plan import Kind, Phase
from sandbox.vehicles import Vehicle, Vehicles
from sandbox.world import World

_COUNTED_FROM = operating_day(instant(2026, 1, 1))
"""The operating day at whose start the counters of working devices show their first value."""
_HEARTBEAT_S = 3 * MINUTE
_STOP_KINDS = {Kind.PARKED: StopKind.PARKED, Kind.IDLING: StopKind.IDLING}


@dataclass(frozen=True, slots=True)
class Fitting:
    """A device in its vehicle. Two devices in the same vehicle share its motion."""

    vehicle: int
    has_reported: bool = True
    """False for a device that has never reported."""
    silent_from: int | None = None
    """Unix seconds of its last measurement; None if it still works."""
    has_heartbeats: bool = False
    """True if only its GPS failed: its heartbeats continue after the last fix."""
    odometer_m: float = 0.0
    """Metres on its counter at `silent_from` or, if it still works, at the start of 2026."""


class Fleet(World):
    """A made-up fleet. A day depends on seed, vehicle and day only, in any order of calls.

    The devices were activated `days` before the data clock: nothing that began earlier is served.
    `now` fixes the data clock (Unix seconds); None means the real time.
    """

    def __init__(
        self,
        devices: Mapping[Device, Fitting],
        vehicles: Mapping[int, Vehicle],
        *,
        accounts: Sequence[Account],
        fences: Sequence[Fence] = (),
        seed: int = 1,
        days: int = 14,
        now: int | None = None,
    ) -> None:
        self.accounts = accounts
        self.fences = fences
        self.devices = {device.imei: device for device in devices}
        self._fittings = {device.imei: fitting for device, fitting in devices.items()}
        self._salts = {imei: number for number, imei in enumerate(self.devices, start=1)}
        self._vehicles = Vehicles(seed, vehicles)
        self._seed = seed
        self._now = now
        self.first = operating_start(operating_day(self.now()) - days)
        self._day_alarms = lru_cache(maxsize=2_000 + 2 * len(devices))(self._make_alarms)

    def now(self) -> int:
        return int(time.time()) if self._now is None else self._now

    def last_fix(self, imei: str) -> GpsFix | None:
        until = self._measured_until(imei)
        if until is None:
            return None
        plan = self._vehicles.plan(self._fittings[imei].vehicle, operating_day(until))
        return plan.last_fix(until, self._salts[imei])

    def last_heartbeat(self, imei: str) -> int | None:
        fitting, known, now = self._fittings[imei], self._known_until(imei), self.now()
        if known is None:
            return None
        if fitting.silent_from is not None:
            is_silent = now > fitting.silent_from and not fitting.has_heartbeats
            return known if is_silent else now - now % _HEARTBEAT_S
        phase = self._vehicles.plan(fitting.vehicle, operating_day(known)).phase_at(known)
        last = phase.start if phase.kind is Kind.SILENT else known
        return last - last % _HEARTBEAT_S

    def fixes(self, imei: str, start: int, end: int) -> Iterator[GpsFix]:
        until = self._measured_until(imei)
        if until is None:
            return
        start, end = max(start, self.first), min(end, until)
        for day in range(operating_day(start), operating_day(end) + 1):
            plan = self._vehicles.plan(self._fittings[imei].vehicle, day)
            yield from plan.fixes(start, end, until, self._salts[imei])

    def trips(self, imei: str, start: int, end: int) -> list[Trip]:
        return [
            Trip(
                phase.start,
                until,
                phase.point,
                GeoPoint(*phase.drive.place(until)[:2]),
                phase.drive.metres(until),
                phase.drive.max_speed_until(until),
                self.odometer_m(imei, phase.start),
            )
            for phase, until in self._phases(imei, start, end)
            if phase.drive
        ]

    def stops(self, imei: str, start: int, end: int) -> list[Stop]:
        return [
            Stop(_STOP_KINDS[phase.kind], phase.start, until, phase.point, phase.address)
            for phase, until in self._phases(imei, start, end)
            if phase.kind in _STOP_KINDS
        ]

    def alarms(self, imei: str, start: int, end: int) -> list[Alarm]:
        known = self._known_until(imei)
        if known is None:
            return []
        start, end = max(start, self.first), min(end, known)
        days = range(operating_day(start), operating_day(end) + 1)
        found = chain.from_iterable(self._day_alarms(imei, day) for day in days)
        return [alarm for alarm in found if start <= alarm.at <= end]

    def odometer_m(self, imei: str, at: int) -> float:
        fitting = self._fittings[imei]
        if fitting.silent_from is None:
            first = self._vehicles.driven_before(fitting.vehicle, _COUNTED_FROM)
        else:
            first = self._vehicles.driven(fitting.vehicle, fitting.silent_from)
        return fitting.odometer_m + self._vehicles.driven(fitting.vehicle, at) - first

    def _measured_until(self, imei: str) -> int | None:
        """Unix seconds of the newest possible measurement; None if the device never reported."""
        fitting, now = self._fittings[imei], self.now()
        if not fitting.has_reported or self.devices[imei].is_expired:
            return None
        return now if fitting.silent_from is None else min(now, fitting.silent_from)

    def _known_until(self, imei: str) -> int | None:
        """Unix seconds of the newest measurement that the platform knows; None if there is none."""
        until = self._measured_until(imei)
        if until is None:
            return None
        plan = self._vehicles.plan(self._fittings[imei].vehicle, operating_day(until))
        return plan.known_until(until)

    def _phases(self, imei: str, start: int, end: int) -> Iterator[tuple[Phase, int]]:
        """Whole phases that overlap the window, each with its end as far as the platform knows."""
        known = self._known_until(imei)
        if known is None or start > known or end < self.first:
            return
        vehicle = self._fittings[imei].vehicle
        for phase in self._vehicles.phases(vehicle, max(start, self.first), min(end, known)):
            until = min(phase.end, known)
            if self.first <= phase.start < until and phase.start <= end and start <= until:
                yield phase, until

    def _make_alarms(self, imei: str, day: int) -> list[Alarm]:
        vehicle = self._fittings[imei].vehicle
        fences = [fence for fence in self.fences if imei in fence.imeis]
        rng = Random(f"alarms/{self._seed}/{vehicle}/{day}")
        alarms = list(alarms_of(self._vehicles.plan(vehicle, day), fences, rng))
        if self.devices[imei].model == "JC400P":
            alarms = [
                a._replace(alarm_type=DASHCAM_IDS.get(a.alarm_type, a.alarm_type)) for a in alarms
            ]
        return sorted(alarms, key=lambda alarm: (alarm.at, alarm.alarm_type))
