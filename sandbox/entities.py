"""What a fleet consists of: accounts, devices and fences, and what happens to the devices.

All instants are Unix seconds, distances metres, speeds km/h, places degrees (WGS 84).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from sandbox.geometry import GeoPoint, distance_m, is_inside


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the vendor's tree. Clients log in to the one whose `parent` is None."""

    account: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device in the vendor's registry. It may never have reported."""

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
    points: tuple[GeoPoint, ...]
    radius_m: int | None = None
    alert_type: str = "in,out"
    imeis: tuple[str, ...] = ()

    def holds(self, point: GeoPoint) -> bool:
        """True if the point is inside the fence."""
        if self.radius_m is not None:
            return distance_m(self.points[0], point) <= self.radius_m
        return is_inside(point, self.points)


class GpsFix(NamedTuple):
    """One measured position. `is_late` means that the tracker sent it after a loss of signal."""

    at: int
    lat: float
    lng: float
    speed_kmh: float
    heading_deg: float
    is_ignition_on: bool
    satellites: int
    is_late: bool = False


class Trip(NamedTuple):
    """One trip, from departure to standstill. Its driving time is its whole duration."""

    start: int
    end: int
    start_point: GeoPoint
    end_point: GeoPoint
    distance_m: float
    max_speed_kmh: float
    odometer_start_m: float

    @property
    def driving_s(self) -> int:
        return self.end - self.start


class StopKind(StrEnum):
    """Whether the ignition is on during a stop. The value is the API's word for it."""

    PARKED = "off"
    IDLING = "on"


class Stop(NamedTuple):
    """One stop of a vehicle."""

    kind: StopKind
    start: int
    end: int
    point: GeoPoint
    address: str


class Alarm(NamedTuple):
    """One alarm. `alarm_type` is an id of docs/TRACKSOLID_API.md#alarm-types."""

    at: int
    alarm_type: str
    point: GeoPoint
    speed_kmh: float
    fence: Fence | None = None


@dataclass(frozen=True, slots=True)
class DayTruth:
    """What really happened to one device on one EAT day, unrounded, up to the data clock."""

    imei: str
    day: date
    trips: tuple[Trip, ...]
    """Trips that start on this day, whole, also if they end on the next day."""
    stops: tuple[Stop, ...]
    """Stops of both kinds that start on this day, whole."""
    distance_m: float
    driving_s: int
    idling_s: int
    """Seconds within this day, like `parked_s`."""
    parked_s: int
    max_speed_kmh: float
    alarms: Mapping[str, int] = field(default_factory=dict)
    """Number of alarms by alarm type."""

    @property
    def alarms_count(self) -> int:
        return sum(self.alarms.values())
