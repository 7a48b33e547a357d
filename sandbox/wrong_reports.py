"""From a record to one that a tracker with a wrong clock, place or odometer would have caused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.faults import Fault

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_KM_FIELDS = {"currentMileage": 1, "odometerReading": 1, "startMileage": 1000, "endMileage": 1000}
"""Odometers, and the units of each in a kilometre."""


def wrong(record: bytes, fault: Fault) -> bytes:
    """The record with the fault; the same record if it has no such field."""
    return json.dumps(_WRONG[fault](json.loads(record)), separators=(",", ":")).encode()


def _shifted(by: timedelta) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def moved(match: re.Match[str]) -> str:
        text = match[0]
        return (datetime.fromisoformat(text) + by).isoformat(text[10])

    def shift(record: dict[str, Any]) -> dict[str, Any]:
        return {
            name: _TIME.sub(moved, value) if isinstance(value, str) else value
            for name, value in record.items()
        }

    return shift


def _placed(degrees: float, **more: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def place(record: dict[str, Any]) -> dict[str, Any]:
        if "posType" not in record:
            return record
        return record | {"lat": round(record["lat"] + degrees, 6)} | more

    return place


def _counted(km: Callable[[float], float]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def count(record: dict[str, Any]) -> dict[str, Any]:
        changed = {
            name: str(km(float(record[name]) / units) * units)
            for name, units in _KM_FIELDS.items()
            if record.get(name) is not None
        }
        return record | changed

    return count


_WRONG: Mapping[Fault, Callable[[dict[str, Any]], dict[str, Any]]] = {
    Fault.CLOCK_AHEAD: _shifted(timedelta(hours=3)),
    Fault.WEEK_ROLLOVER: _shifted(timedelta(weeks=-1024)),
    Fault.CELL_TOWER: _placed(0.045, posType="LBS"),
    Fault.FAR_AWAY: _placed(54),
    Fault.ODOMETER_WILD: _counted(lambda _: 999_999),
    Fault.ODOMETER_SET: _counted(lambda km: km + 300_000),
    Fault.ODOMETER_RESET: _counted(lambda km: km % 100),
}
