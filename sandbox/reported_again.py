"""From true trips and stops to a later report of them: with other borders, or without measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sandbox.entities import Stop, Trip
from sandbox.faults import Fault

Span = TypeVar("Span", Trip, Stop)

_MOVED_S = 9
_GAP_S = 20
_MEASURES = ("distance", "runTimeSecond", "elapsed", "durSecond")


def with_other_borders(spans: Sequence[Span], fault: Fault | None) -> list[Span]:
    """The trips, or the stops of one kind, of a device as the API reports them with this fault."""
    if fault is Fault.MOVED_START:
        return [_part(span, min(span.start + _MOVED_S, span.end - 1), span.end) for span in spans]
    if fault is Fault.MERGED:
        return [_joined(spans[n : n + 2]) for n in range(0, len(spans), 2)]
    if fault is Fault.SPLIT:
        return [half for span in spans for half in _halves(span)]
    return list(spans)


def without_measures(record: Mapping[str, Any], fault: Fault | None) -> dict[str, Any]:
    """The record, with null for its distance and durations if that is the fault."""
    unknown = _MEASURES if fault is Fault.UNKNOWN_MEASURES else ()
    return {name: None if name in unknown else value for name, value in record.items()}


def _part(span: Span, start: int, end: int) -> Span:
    part = span._replace(start=start, end=end)
    if isinstance(span, Trip):
        metres_per_s = span.distance_m / (span.end - span.start)
        return part._replace(
            distance_m=metres_per_s * (end - start),
            odometer_start_m=span.odometer_start_m + metres_per_s * (start - span.start),
        )
    return part


def _halves(span: Span) -> list[Span]:
    middle = (span.start + span.end) // 2
    if span.end - span.start < 4 * _GAP_S:
        return [span]
    return [_part(span, span.start, middle), _part(span, middle + _GAP_S, span.end)]


def _joined(spans: Sequence[Span]) -> Span:
    first, last = spans[0], spans[-1]
    if isinstance(first, Trip) and isinstance(last, Trip):
        return first._replace(
            end=last.end,
            end_point=last.end_point,
            distance_m=last.odometer_start_m + last.distance_m - first.odometer_start_m,
            max_speed_kmh=max(first.max_speed_kmh, last.max_speed_kmh),
        )
    return first._replace(end=last.end)
