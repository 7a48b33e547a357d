"""From the map to routes. Vehicles park and drive only on the roads of the map."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from sandbox.geometry import GeoPoint, bearing_deg, between, distance_m
from sandbox.road_map import JUNCTIONS, ROADS


class Road(NamedTuple):
    """A straight road between two junctions, driven at about `limit_kmh` without traffic."""

    a: str
    b: str
    limit_kmh: int
    length_m: float


class Site(NamedTuple):
    """A place to park: `offset_m` metres from the first junction of a road."""

    road: Road
    offset_m: float

    @property
    def point(self) -> GeoPoint:
        share = self.offset_m / self.road.length_m
        return between(JUNCTIONS[self.road.a], JUNCTIONS[self.road.b], share)

    @property
    def address(self) -> str:
        near = self.road.a if self.offset_m < self.road.length_m / 2 else self.road.b
        return f"Near {near}"


class Route:
    """A line of points with the length up to each, so that a position is found fast."""

    __slots__ = ("_headings", "_lats", "_limits", "_lngs", "_metres", "length_m")

    def __init__(self, points: list[GeoPoint], limits_kmh: list[int]) -> None:
        metres = [0.0]
        for a, b in pairwise(points):
            metres.append(metres[-1] + distance_m(a, b))
        self._metres = array("d", metres)
        self._lats = array("d", (point.lat for point in points))
        self._lngs = array("d", (point.lng for point in points))
        self._headings = array("d", map(bearing_deg, points, points[1:]))
        self._limits = array("d", limits_kmh)
        self.length_m = metres[-1]

    def _segment(self, metre: float) -> int:
        return min(bisect_right(self._metres, metre), len(self._metres) - 1) - 1

    def at(self, metre: float) -> tuple[float, float, float]:
        """Latitude, longitude and heading this far along the route."""
        i = self._segment(metre)
        start = self._metres[i]
        share = (metre - start) / (self._metres[i + 1] - start)
        lat, lng = self._lats[i], self._lngs[i]
        return (
            lat + (self._lats[i + 1] - lat) * share,
            lng + (self._lngs[i + 1] - lng) * share,
            self._headings[i],
        )

    def limit_kmh(self, metre: float) -> float:
        return self._limits[self._segment(metre)]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """South, west, north, east."""
        return min(self._lats), min(self._lngs), max(self._lats), max(self._lngs)


def _build(city: str) -> tuple[Road, ...]:
    return tuple(
        Road(a, b, limit, distance_m(JUNCTIONS[a], JUNCTIONS[b])) for a, b, limit in ROADS[city]
    )


_ROADS: dict[str, tuple[Road, ...]] = {city: _build(city) for city in ROADS}
_NEIGHBOURS: dict[str, list[tuple[str, Road]]] = {name: [] for name in JUNCTIONS}
for _road in (road for roads in _ROADS.values() for road in roads):
    _NEIGHBOURS[_road.a].append((_road.b, _road))
    _NEIGHBOURS[_road.b].append((_road.a, _road))


@cache
def sites(city: str) -> tuple[Site, ...]:
    """The work sites of a city: three on each of its roads."""
    return tuple(
        Site(road, road.length_m * share) for road in _ROADS[city] for share in (0.2, 0.45, 0.8)
    )


@cache
def site_at(junction: str) -> Site:
    """The site at a junction, for depots and rest stops."""
    _, road = _NEIGHBOURS[junction][0]
    return Site(road, 0.0 if road.a == junction else road.length_m)


@cache
def _ways(origin: str) -> dict[str, tuple[float, tuple[str, ...], tuple[int, ...]]]:
    """Shortest way from a junction to every other: metres, junctions passed, limits (Dijkstra)."""
    found: dict[str, tuple[float, tuple[str, ...], tuple[int, ...]]] = {}
    queue: list[tuple[float, tuple[str, ...], tuple[int, ...]]] = [(0.0, (origin,), ())]
    while queue:
        metres, path, limits = heapq.heappop(queue)
        if path[-1] in found:
            continue
        found[path[-1]] = metres, path, limits
        for name, road in _NEIGHBOURS[path[-1]]:
            if name not in found:
                step = (metres + road.length_m, (*path, name), (*limits, road.limit_kmh))
                heapq.heappush(queue, step)
    return found


@cache
def route(start: Site, end: Site) -> Route:
    """The shortest way between two different sites. Raises ValueError if no road joins them."""
    if start.road == end.road:
        return Route([start.point, end.point], [start.road.limit_kmh])
    options = []
    for leave in (start.road.a, start.road.b):
        for enter in (end.road.a, end.road.b):
            if enter in _ways(leave):
                way = _ways(leave)[enter]
                options.append((_reach(start, leave) + way[0] + _reach(end, enter), way))
    if not options:
        raise ValueError(f"no road from {start.address} to {end.address}")
    _, (_, path, limits) = min(options)
    points = [start.point, *(JUNCTIONS[name] for name in path), end.point]
    limits = (start.road.limit_kmh, *limits, end.road.limit_kmh)
    # A site at a junction gives a stretch without length, which has no heading: leave it out.
    keep = [i for i in range(len(limits)) if points[i] != points[i + 1]]
    return Route([points[0], *(points[i + 1] for i in keep)], [limits[i] for i in keep])


def _reach(site: Site, junction: str) -> float:
    return site.offset_m if site.road.a == junction else site.road.length_m - site.offset_m
