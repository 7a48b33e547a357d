"""From the events in a world to the pushes that the platform would send about them.

Source of paths, fields and units: docs/TRACKSOLID_API.md#all-push-paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import requests

from sandbox.entities import Alarm, Device, GpsFix, Trip
from sandbox.history_records import ALARM_NAMES
from sandbox.instants import HOUR, MINUTE, eat_bounds, eat_day, plain
from sandbox.world import World

Record = dict[str, Any]
BATCH = 50  # items of one data_list at most (docs/TRACKSOLID_API.md#how-a-push-looks)
_ARRIVES_S = 2


def pushes(world: World, start: int, end: int) -> Iterator[tuple[str, Record]]:
    """(path, record) of all devices for [start, end] in Unix seconds, device by device.

    Expired devices and devices without a fix since `start` are left out. If `start` is a full hour,
    a later window repeats the records of the time that both windows cover.
    """
    midnight = eat_bounds(eat_day(start - 1))[1]
    for device in world.devices.values():
        last = world.last_fix(device.imei)
        if last is None or last.at < start or device.is_expired:
            continue
        if midnight <= last.at:
            yield "/pushevent", _event(device, midnight, "LOGIN")
        fixes = list(world.fixes(device.imei, start, end))
        for fix in fixes:
            yield "/pushgps", _gps(device, fix, world.odometer_m(device.imei, fix.at))
        for number, fix in enumerate(_every(fixes, 10 * MINUTE)):
            yield "/pushhb", _heartbeat(device, fix)
            if device.model == "GT06E" and fix.is_ignition_on:
                yield "/pushobd", _obd(device, fix, as_text=number % 2 == 1)
        for fix in _every(fixes, HOUR):
            yield "/pushoil", _oil(device, fix, world.odometer_m(device.imei, fix.at))
            yield "/pushtem", _temperature(device, fix)
            yield "/pushlbs", _lbs(device, fix)
        for trip in world.trips(device.imei, start, end):
            yield "/pushtripreport", _trip(device, trip)
        for alarm in world.alarms(device.imei, start, end):
            yield "/pushalarm", _alarm(device, alarm)
            yield "/pushalarm", _alarm_without_time(device, alarm)
            if alarm.alarm_type == "2":
                yield "/pushfaultinfo", _fault(device, alarm)


def send(
    url: str, token: str, messages: Iterable[tuple[str, Record]], *, session: requests.Session
) -> int:
    """Post messages to a receiver as forms with up to 50 records; returns the number of records.

    Raises requests.HTTPError if the receiver does not answer success: what the platform does then
    is not documented.
    """
    waiting: dict[str, list[Record]] = {}
    sent = 0

    def post(path: str) -> None:
        form = {"token": token, "data_list": json.dumps(waiting.pop(path), separators=(",", ":"))}
        answer = session.post(url + path, data=form, timeout=30)
        answer.raise_for_status()

    for path, record in messages:
        waiting.setdefault(path, []).append(record)
        sent += 1
        if len(waiting[path]) == BATCH:
            post(path)
    for path in list(waiting):
        post(path)
    return sent


def _every(fixes: list[GpsFix], seconds: int) -> Iterator[GpsFix]:
    """The first fix in each period of `seconds`."""
    stretch = None
    for fix in fixes:
        if fix.at // seconds != stretch:
            stretch = fix.at // seconds
            yield fix


def _head(device: Device, at: int) -> Record:
    return {"deviceImei": device.imei, "gateTime": plain(at + _ARRIVES_S)}


def _event(device: Device, at: int, kind: str) -> Record:
    return _head(device, at) | {"type": kind, "timezone": "GMT+03:00"}


def _gps(device: Device, fix: GpsFix, odometer_m: float) -> Record:
    return _head(device, fix.at) | {
        "gpsTime": plain(fix.at),
        "satelliteNum": fix.satellites,
        "lng": fix.lng,
        "lat": fix.lat,
        "gpsMode": 1 if fix.is_late else 0,
        "gpsSpeed": round(fix.speed_kmh),
        "direction": round(fix.heading_deg),
        "acc": int(fix.is_ignition_on),
        "postType": 1,
        "distance": round(odometer_m),
    }


def _heartbeat(device: Device, fix: GpsFix) -> Record:
    return _head(device, fix.at) | {
        "powerLevel": 90,
        "gsmSign": 80,
        "acc": int(fix.is_ignition_on),
        "oilEle": 0,
        "gpsPos": 1,
        "powerStatus": 1,
    }


def _obd(device: Device, fix: GpsFix, *, as_text: bool) -> Record:
    """A record with its values in an inner object, or in JSON text.

    Both forms are assumed (docs/TRACKSOLID_API.md#push_obd).
    """
    inner = {
        "currentRPM": 780 + round(fix.speed_kmh * 24),
        "remainingFuelPercentage": 58,
        "coolantTemperature": 87,
        "currentSpeed": round(fix.speed_kmh, 1),
    }
    return _head(device, fix.at) | {"obdJson": json.dumps(inner) if as_text else inner}


def _oil(device: Device, fix: GpsFix, odometer_m: float) -> Record:
    litres = 60 - odometer_m / 1000 * 0.09 % 50
    return _head(device, fix.at) | {"value": f"{litres:.1f}", "unit": 1}


def _temperature(device: Device, fix: GpsFix) -> Record:
    degrees = 19 + 8 * (fix.at % 86_400 > 6 * HOUR) + fix.at % 10 / 10
    return _head(device, fix.at) | {"temperature": degrees, "humidity": 48.0}


def _lbs(device: Device, fix: GpsFix) -> Record:
    cells = {"mcc": 639, "mnc": 2, "cellList": "100,2001,-70;100,2002,-81"}
    return _head(device, fix.at) | {"lbsJson": json.dumps(cells), "postType": "LBS"}


def _trip(device: Device, trip: Trip) -> Record:
    return _head(device, trip.end) | {
        "startTime": plain(trip.start),
        "endTime": plain(trip.end),
        "distance": round(trip.distance_m),
    }


def _alarm(device: Device, alarm: Alarm) -> Record:
    """An alarm nested in `msg`, a second later than the poll reports it."""
    place = {"lng": round(alarm.point.lng, 6), "lat": round(alarm.point.lat, 6)}
    message = {"alertType": alarm.alarm_type, "alarmTime": plain(alarm.at + 1)} | place
    return {
        "type": "DEVICE",
        "msgClass": 0,
        "imei": device.imei,
        "msg": message | {"gpsSpeed": round(alarm.speed_kmh)},
        "gateTime": plain(alarm.at + _ARRIVES_S),
    }


def _alarm_without_time(device: Device, alarm: Alarm) -> Record:
    """The same alarm as a flat record, which was seen as well. Only gateTime says when it was."""
    names = {"alarmType": alarm.alarm_type, "alarmName": ALARM_NAMES[alarm.alarm_type]}
    return _head(device, alarm.at) | names


def _fault(device: Device, alarm: Alarm) -> Record:
    return _head(device, alarm.at) | {"faultCode": "P0562", "eventTime": plain(alarm.at)}
