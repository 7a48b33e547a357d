"""From WGS 84 points to metres, bearings and containment: great circles on a sphere."""

from __future__ import annotations

from collections.abc import Sequence
from math import asin, atan2, cos, degrees, radians, sin, sqrt
from typing import NamedTuple

EARTH_RADIUS_M = 6_371_000.0


class GeoPoint(NamedTuple):
    """Degrees, latitude first, as everywhere in the API."""

    lat: float
    lng: float


def distance_m(a: GeoPoint, b: GeoPoint) -> float:
    """Great-circle metres between two points (haversine)."""
    lat_a, lat_b = radians(a[0]), radians(b[0])
    half = (
        sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin(radians(b[1] - a[1]) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * asin(sqrt(half))


def bearing_deg(a: GeoPoint, b: GeoPoint) -> float:
    """Initial heading from a to b, degrees clockwise from north, 0-360."""
    lat_a, lat_b, turn = radians(a[0]), radians(b[0]), radians(b[1] - a[1])
    east = sin(turn) * cos(lat_b)
    north = cos(lat_a) * sin(lat_b) - sin(lat_a) * cos(lat_b) * cos(turn)
    return degrees(atan2(east, north)) % 360


def between(a: GeoPoint, b: GeoPoint, share: float) -> GeoPoint:
    """The point at this share (0-1) of the way from a to b."""
    return GeoPoint(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def is_inside(point: GeoPoint, corners: Sequence[GeoPoint]) -> bool:
    """True if the polygon, closed or not, holds the point (even-odd rule)."""
    lat, lng = point
    inside = False
    previous = corners[-1]
    for corner in corners:
        if (corner.lat > lat) != (previous.lat > lat) and lng < corner.lng + (
            previous.lng - corner.lng
        ) * (lat - corner.lat) / (previous.lat - corner.lat):
            inside = not inside
        previous = corner
    return inside
