"""From the registry and the newest fix to API records, with the vendor's quirks.

Fields, types and units: docs/TRACKSOLID_API.md#device_list and the sections after it.
"""

from __future__ import annotations

import zlib
from typing import Any

from sandbox.entities import Account, Device, Fence, GpsFix
from sandbox.instants import DAY, plain

Record = dict[str, Any]

_ONLINE_S = 600


def child(account: Account) -> Record:
    """A sub-account (docs/TRACKSOLID_API.md#child_list)."""
    return {
        "account": account.account,
        "name": account.name,
        "type": 9,
        "displayFlag": 1,
        "address": None,
        "birth": None,
        "companyName": "",
        "email": "",
        "phone": "",
        "language": "en",
        "sex": 0,
        "enabledFlag": 1,
        "remark": None,
    }


def _registered(device: Device) -> Record:
    """The nineteen documented fields of device_list."""
    return {
        "imei": device.imei,
        "deviceName": device.name,
        "mcType": device.model,
        "mcTypeUseScope": "automobile",
        "sim": f"000{device.imei[-7:]}",
        "expiration": plain(device.activated + 3650 * DAY),
        "activationTime": plain(device.activated),
        "reMark": None,
        "vehicleName": None,
        "vehicleIcon": device.icon,
        "vehicleNumber": _typed_plate(device),
        "vehicleModels": None,
        "carFrame": None,
        "driverName": device.driver,
        "driverPhone": device.phone,
        "enabledFlag": 1,
        "engineNumber": None,
        "deviceGroupId": f"{zlib.crc32(device.group.encode()):032x}",
        "deviceGroup": device.group,
    }


def listed(device: Device) -> Record:
    """A record of device_list: the documented fields and the three that newer models add."""
    extra = {"equipType": "WIRED", "machineName": device.model, "status": "NORMAL"}
    return _registered(device) | extra


def _typed_plate(device: Device) -> str | None:
    """The plate as people type it: a dashcam's without spaces, and N/A, - or nothing for none."""
    if device.plate is None:
        return ("N/A", "-", None)[int(device.imei) % 3]
    return device.plate.replace(" ", "").lower() if device.model == "JC400P" else device.plate


def detail(device: Device, customer: str, odometer_m: float | None) -> Record:
    """The record of device_detail: `currentMileage` is kilometres as text.

    `odometer_m` is metres, None if unknown. Every seventh device spells `vin` as `VIN`.
    """
    return _registered(device) | {
        "account": device.account,
        "customerName": customer,
        "user_expiration": f"{device.account},{plain(device.activated + 3650 * DAY)[:10]}",
        "iccid": f"89000{device.imei}",
        "imsi": f"000{device.imei[-12:]}",
        "importTime": plain(device.activated - 9 * DAY),
        "licensePlatNo": device.plate,
        "VIN" if int(device.imei) % 7 == 0 else "vin": None,
        "vehicleBrand": None,
        "fuel_100km": device.fuel_100km,
        "status": "1",
        "currentMileage": None if odometer_m is None else f"{odometer_m / 1000:.2f}",
    }


def location(
    device: Device,
    customer: str,
    fix: GpsFix | None,
    heartbeat: int | None,
    metres: float,
    now: int,
) -> Record:
    """A record of location_list and location_get, 35 fields.

    An expired device has no fix, and its position is 0, 0. `heartbeat` and `now` are Unix seconds.
    `metres` is the odometer, which is sent as kilometres.
    """
    is_on = fix is not None and fix.is_ignition_on
    return {
        "imei": device.imei,
        "deviceName": device.name,
        "mcType": device.model,
        "icon": device.icon,
        "status": "1" if heartbeat is not None and now - heartbeat < _ONLINE_S else "0",
        "posType": "GPS",
        "lat": fix.lat if fix else 0,
        "lng": fix.lng if fix else 0,
        "hbTime": None if heartbeat is None else plain(heartbeat),
        "accStatus": "1" if is_on else "0",
        "gpsSignal": "4",
        "powerValue": "13.8" if is_on else None,
        "batteryPowerVal": "4.02",
        "speed": f"{fix.speed_kmh:.0f}" if fix else None,
        "gpsNum": str(fix.satellites) if fix else None,
        "gpsTime": plain(fix.at) if fix else None,
        "direction": f"{fix.heading_deg:.0f}" if fix else None,
        "activationFlag": "1",
        "expireFlag": "0" if device.is_expired else "1",
        "electQuantity": "",
        "locDesc": None,
        "distance": "-1",
        "temperature": None,
        "trackerOil": "0.00L",
        "trackerOils": None,
        "currentMileage": f"{metres / 1000:.6f}",
        "account": device.account,
        "customerName": customer,
        "state": None,
        "stateTime": None,
        "iccid": f"89000{device.imei}",
        "mac": "",
        "chargeStatus": None,
        "shutdown": None,
        "confidence": None,
    }


def fence(fence: Fence) -> Record:
    """A record of fence_list: points joined by `;`, latitude first; radius in metres, as text."""
    return {
        "fence_id": fence.fence_id,
        "fence_name": fence.name,
        "fence_type": "polygon" if fence.radius_m is None else "circle",
        "fence_color": "#3b7aff",
        "coordinates": ";".join(f"{lat:.4f},{lng:.4f}" for lat, lng in fence.points),
        "radius": None if fence.radius_m is None else str(fence.radius_m),
        "description": "",
        "imeis": ",".join(fence.imeis),
        "alert_type": fence.alert_type,
        "stay_time_out": None,
        "stay_time_in": None,
        "account": fence.account,
    }
