"""From fixes, trips, stops and alarms to API records, with the vendor's quirks.

Fields, types and units: docs/TRACKSOLID_API.md#track_list and the sections after it.
"""

from __future__ import annotations

from typing import Any

from sandbox.entities import Alarm, Device, GpsFix, Stop, Trip
from sandbox.instants import iso, plain

Record = dict[str, Any]

ALARM_NAMES = {
    "2": "Power cut off alert",
    "3": "Vibration alert",
    "25": "Internal battery low alert",
    "41": "Sudden Acceleration Alert",
    "48": "Sudden Deceleration Alert",
    "144": "Sudden acceleration alert(DVR)",
    "145": "Sudden deceleration alert(DVR)",
    "overSpeed": "Overspeed alert(platform)",
    "in": "Enter geo-fence",
    "out": "Exit geo-fence",
}


def track_point(fix: GpsFix) -> Record:
    """A record of track_list; about one point in fifty has text where numbers belong."""
    ignition = "ON" if fix.is_ignition_on else "OFF"
    numbers: Record = {
        "direction": round(fix.heading_deg),
        "gpsSpeed": round(fix.speed_kmh, 1),
        "posType": 1,
        "satellite": fix.satellites,
    }
    if fix.at % 53 == 0:
        numbers = {key: str(value) for key, value in numbers.items()}
    return {
        "lat": fix.lat,
        "lng": fix.lng,
        "gpsTime": plain(fix.at),
        **numbers,
        "ignition": ignition,
        "accStatus": ignition,
        "gpsMode": 1 if fix.is_late else 0,
        "confidence": None,
    }


def segment(imei: str, trip: Trip) -> Record:
    """A record of track_mileage, in metres. One in ten has `elapsed` instead of `runTimeSecond`."""
    hours = trip.driving_s / 3600
    return {
        "imei": imei,
        "startTime": plain(trip.start),
        "endTime": plain(trip.end),
        "startLat": round(trip.start_point.lat, 6),
        "startLng": round(trip.start_point.lng, 6),
        "endLat": round(trip.end_point.lat, 6),
        "endLng": round(trip.end_point.lng, 6),
        "elapsed" if trip.start % 10 == 0 else "runTimeSecond": trip.driving_s,
        "distance": round(trip.distance_m, 1),
        "avgSpeed": round(trip.distance_m / 1000 / hours, 2),
        "maxSpeed": round(trip.max_speed_kmh, 1),
        "startMileage": round(trip.odometer_start_m),
        "endMileage": round(trip.odometer_start_m + trip.distance_m),
    }


def standing(device: Device, stop: Stop) -> Record:
    """A record of parking_report: seconds as text, times in ISO form."""
    seconds = str(stop.end - stop.start)
    return {
        "imei": device.imei,
        "startTime": iso(stop.start),
        "endTime": iso(stop.end),
        "durSecond": seconds,
        "lng": round(stop.point.lng, 6),
        "lat": round(stop.point.lat, 6),
        "addr": stop.address,
        "deviceName": device.name,
        "mcType": device.model,
        "acc": stop.kind.value,
        "stopSecond": seconds,
    }


def alarm(device: Device, raised: Alarm) -> Record:
    """A record of alarm_list. One in eleven has `alertTypeName` instead of `alarmTypeName`.

    The name of an alarm at a fence contains the name of the fence.
    """
    name = ALARM_NAMES[raised.alarm_type]
    return {
        "deviceName": device.name,
        "imei": device.imei,
        "model": device.model,
        "account": device.account,
        "alertTypeId": raised.alarm_type,
        "alertTypeName" if raised.at % 11 == 0 else "alarmTypeName": (
            f"{name}({raised.fence.name})" if raised.fence else name
        ),
        "alertTime": plain(raised.at),
        "positioningTime": plain(raised.at),
        "lat": round(raised.point.lat, 6),
        "lng": round(raised.point.lng, 6),
        "speed": f"{raised.speed_kmh:.0f}",
        "geoid": raised.fence.fence_id if raised.fence else None,
    }


def obd(device: Device, fix: GpsFix, odometer_m: float) -> Record:
    """A record of obd_list: all values are text, and fuel is given in per cent only."""
    return {
        "imei": device.imei,
        "dataReportTime": plain(fix.at),
        "odometerReading": f"{odometer_m / 1000:.1f}",
        "deviceAccumulatedMileage": f"{odometer_m / 1000:.1f}",
        "remainingFuel": None,
        "remainingFuelPercentage": str(90 - int(odometer_m / 9000) % 80),
        "coolantTemperature": "87",
        "vehicleBatterVoltage": "138",
        "currentRPM": str(780 + round(fix.speed_kmh * 24)),
        "currentSpeed": f"{fix.speed_kmh:.1f}",
        "vin": f"SANDBOXVIN{device.imei[-7:]}",
    }
