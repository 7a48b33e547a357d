"""World: the interface through which the API's methods ask about a fleet.

All instants are Unix seconds, distances metres, speeds km/h, places degrees (WGS 84).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from sandbox.entities import Account, Alarm, DayTruth, Device, Fence, GpsFix, Stop, StopKind, Trip
from sandbox.instants import eat_bounds


class World(ABC):
    """All that the API's methods ask about a fleet. Windows include both ends: [start, end]."""

    accounts: Sequence[Account]
    fences: Sequence[Fence]
    devices: Mapping[str, Device]
    """Devices by IMEI, in the order of the registry."""
    first: int
    """Trips, stops and fixes that began before this instant are not served."""

    @abstractmethod
    def now(self) -> int:
        """The data clock: later events have not happened yet."""

    @abstractmethod
    def last_fix(self, imei: str) -> GpsFix | None:
        """The newest fix that has arrived; None if there is none."""

    @abstractmethod
    def last_heartbeat(self, imei: str) -> int | None:
        """When the device last reported, with or without a fix; None if it never reported."""

    @abstractmethod
    def fixes(self, imei: str, start: int, end: int) -> Iterator[GpsFix]:
        """Fixes measured in the window that have arrived by now, in order of measurement."""

    @abstractmethod
    def trips(self, imei: str, start: int, end: int) -> list[Trip]:
        """Whole trips that overlap the window, in order; a running trip has its values so far."""

    @abstractmethod
    def stops(self, imei: str, start: int, end: int) -> list[Stop]:
        """Whole stops that overlap the window, in order; a running stop ends now."""

    @abstractmethod
    def alarms(self, imei: str, start: int, end: int) -> list[Alarm]:
        """Alarms raised in the window, in order."""

    @abstractmethod
    def odometer_m(self, imei: str, at: int) -> float:
        """Cumulative metres, as the device counts them."""

    def truth(self, imei: str, day: date) -> DayTruth | None:
        """The true day of a device; None if it never reported. Raises KeyError for no such IMEI."""
        if self.last_fix(imei) is None:
            return None
        start, end = eat_bounds(day)
        last = end - 1
        trips = tuple(trip for trip in self.trips(imei, start, last) if trip.start >= start)
        stops = self.stops(imei, start, last)
        seconds = dict.fromkeys(StopKind, 0)
        for stop in stops:
            seconds[stop.kind] += min(stop.end, end) - max(stop.start, start)
        return DayTruth(
            imei=imei,
            day=day,
            trips=trips,
            stops=tuple(stop for stop in stops if stop.start >= start),
            distance_m=sum(trip.distance_m for trip in trips),
            driving_s=sum(trip.driving_s for trip in trips),
            idling_s=seconds[StopKind.IDLING],
            parked_s=seconds[StopKind.PARKED],
            max_speed_kmh=max((trip.max_speed_kmh for trip in trips), default=0.0),
            alarms=Counter(alarm.alarm_type for alarm in self.alarms(imei, start, last)),
        )
