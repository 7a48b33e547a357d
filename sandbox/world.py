"""What a fleet is made of, and World, the interface through which the API's methods ask it.

All instants are Unix seconds, distances metres, speeds km/h, places degrees (WGS 84).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from sandbox.geometry import Point, distance_m, is_inside
from sandbox.instants import eat_bounds


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the vendor's tree; `parent` is None for the one that clients log in with."""

    account: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """What the registry says about a device, whether or not it has ever reported."""

    imei: str
    name: str
    model: str
    account: str
    icon: str = "automobile"
    plate: str | None = None
    driver: str | None = None
    phone: str | None = None
    group: str = "Default group"
    fuel_100km: str | None = None
    activated: int = 0
    is_expired: bool = False


@dataclass(frozen=True, slots=True)
class Fence:
    """A platform fence: a circle (one point and a radius) or a polygon (three points or more)."""

    fence_id: str
    name: str
    account: str
    points: tuple[Point, ...]
    radius_m: int | None = None
    alert_type: str = "in,out"
    imeis: tuple[str, ...] = ()

    def holds(self, point: Point) -> bool:
        if self.radius_m is not None:
            return distance_m(self.points[0], point) <= self.radius_m
        return is_inside(point, self.points)


class Fix(NamedTuple):
    """One measured position; `is_late` if the tracker sent it only after a loss of signal."""

    at: int
    lat: float
    lng: float
    speed_kmh: float
    heading_deg: float
    is_ignition_on: bool
    satellites: int
    is_late: bool = False


class Trip(NamedTuple):
    """From setting off to standstill; its driving time is its whole duration."""

    start: int
    end: int
    start_point: Point
    end_point: Point
    distance_m: float
    max_speed_kmh: float
    odometer_start_m: float

    @property
    def driving_s(self) -> int:
        return self.end - self.start


class StopKind(StrEnum):
    PARKED = "off"
    """Ignition off. The value is the API's word for it."""
    IDLING = "on"


class Stop(NamedTuple):
    kind: StopKind
    start: int
    end: int
    point: Point
    address: str


class Alarm(NamedTuple):
    """`alarm_type` is an id of docs/TRACKSOLID_API.md#alarm-types."""

    at: int
    alarm_type: str
    point: Point
    speed_kmh: float
    fence: Fence | None = None


@dataclass(frozen=True, slots=True)
class DayTruth:
    """What really happened to one device on one EAT day, unrounded, up to the data clock."""

    imei: str
    day: date
    trips: tuple[Trip, ...]
    """Trips that start on this day, whole, also if they end on the next."""
    stops: tuple[Stop, ...]
    """Stops that start on this day, parked and idling, whole."""
    distance_m: float
    driving_s: int
    idling_s: int
    """Seconds within the day, as `parked_s`."""
    parked_s: int
    max_speed_kmh: float
    alarms: Mapping[str, int] = field(default_factory=dict)
    """Count per alarm type."""

    @property
    def alarms_count(self) -> int:
        return sum(self.alarms.values())


class World(ABC):
    """Everything the API's methods may ask. Windows include both ends: [start, end]."""

    accounts: Sequence[Account]
    fences: Sequence[Fence]
    devices: Mapping[str, Device]
    """By IMEI, in the order of the registry."""
    first: int
    """Trips, stops and fixes that began before this instant are not served."""

    @abstractmethod
    def now(self) -> int:
        """The data clock: nothing later has happened yet."""

    @abstractmethod
    def last_fix(self, imei: str) -> Fix | None:
        """The newest fix that has arrived, None if there has never been one."""

    @abstractmethod
    def last_heartbeat(self, imei: str) -> int | None:
        """When the device last reported, with or without a fix; None if never."""

    @abstractmethod
    def fixes(self, imei: str, start: int, end: int) -> Iterator[Fix]:
        """Fixes measured in the window that have arrived by now, in order of measurement."""

    @abstractmethod
    def trips(self, imei: str, start: int, end: int) -> list[Trip]:
        """Trips that overlap the window, whole, in order; a running one with its values so far."""

    @abstractmethod
    def stops(self, imei: str, start: int, end: int) -> list[Stop]:
        """Stops that overlap the window, whole, in order; a running one up to now."""

    @abstractmethod
    def alarms(self, imei: str, start: int, end: int) -> list[Alarm]:
        """Alarms raised in the window, in order."""

    @abstractmethod
    def odometer_m(self, imei: str, at: int) -> float:
        """Cumulative metres as the device counts them."""

    def truth(self, imei: str, day: date) -> DayTruth | None:
        """The true day of a device; None if it never reported. Raises KeyError: no such device."""
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
