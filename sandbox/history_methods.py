"""Methods about trails, trips, stops, alarms and OBD: from an authorised call to a reply.

docs/TRACKSOLID_API.md explains each in the section of its name (parking: parking_report). Each
raises ApiError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox import history_records as records
from sandbox.entities import Device, GpsFix, StopKind
from sandbox.instants import DAY
from sandbox.method_call import MethodCall
from sandbox.reply import ApiError, ReplyBody, encode, in_object, in_result
from sandbox.reported_again import with_other_borders, without_measures

MONTH_S = 31 * DAY
TRACK_HISTORY_S = 93 * DAY
MILEAGE_HISTORY_S = 548 * DAY
"""About eighteen months. For windows that begin earlier, the answer is null."""
MOST_ALARMS = 1000
"""Most rows of one query on all pages, the newest first."""
_ACC_TYPES = {
    "0": StopKind.PARKED,  # FIX-M13: the word the original system sends
    "off": StopKind.PARKED,
    "on": StopKind.IDLING,
}


def track_list(call: MethodCall) -> ReplyBody:
    """The trail of one device. Late points come after live ones, and some points are swapped."""
    imei = call.device().imei
    start, end = call.window("begin_time", "end_time", longest_s=7 * DAY)
    if start < call.world.now() - TRACK_HISTORY_S:
        raise ApiError(1001, "Parameter validation failed: begin_time")
    measured = list(call.world.fixes(imei, start, end))
    points = [encode(records.track_point(fix)) for fix in _as_sent(measured)]
    metres = 0.0
    if measured:
        metres = call.world.odometer_m(imei, measured[-1].at)
        metres -= call.world.odometer_m(imei, measured[0].at)
    return in_result(points, data={"mileage": round(metres)}, empty=b"[]")


def track_mileage(call: MethodCall) -> ReplyBody:
    """Whole trips that overlap the window, at most 100 rows, with totals per device in `data`."""
    devices = call.devices()
    start, end = call.window("begin_time", "end_time")
    page = call.optional_rows()
    if start < call.world.now() - MILEAGE_HISTORY_S:
        return in_result(())
    rows, totals = call.report(lambda: _segments(call, devices, start, end))
    return in_result(page.of(rows), data=totals or None)


def parking(call: MethodCall) -> ReplyBody:
    """Stops, the newest first. Without `account` or `acc_type` there are no rows (FIX-M13)."""
    devices, page = call.devices(), call.rows()
    start, end = call.window("start_time", "end_time")
    rows: list[bytes] = []
    if call.has("account") and call.has("acc_type"):
        call.account("account")
        kind = _ACC_TYPES.get(call.text("acc_type"))
        rows = call.report(lambda: _stops(call, devices, start, end, kind))
    totals = {"totalTime": str(3 + len(rows) // 7), "dataTotalRows": str(len(rows))}
    return in_object("data", "rows", page.of(rows), totals)


def alarm_list(call: MethodCall) -> ReplyBody:
    """Alarms, the newest first. Without times, the last 50 of the last month."""
    devices = call.devices("imeis" if call.has("imeis") else "imei")
    page = call.numbered_page(largest=100, default=50)
    if call.has("begin_time") or call.has("end_time"):
        start, end = call.window("begin_time", "end_time", longest_s=MONTH_S)
        most = MOST_ALARMS
    else:
        end = call.world.now()
        start, most = end - MONTH_S, 50
    rows = call.report(lambda: _alarms(call, devices, start, end))
    return in_result(page.of(rows[:most]))


def obd_list(call: MethodCall) -> ReplyBody:
    """Readings of the devices on an OBD port: one for every ten fixes with the engine on."""
    call.account("account")
    devices = [device for device in call.devices() if device.model == "GT06E"]
    start, end = call.window("start_time", "end_time", longest_s=MONTH_S)
    page = call.numbered_page(largest=100, default=10)
    rows = call.report(
        lambda: [
            encode(records.obd(device, fix, call.world.odometer_m(device.imei, fix.at)))
            for device in devices
            for fix in _running(call, device, start, end)[::10]
        ]
    )
    beside = {"currentPage": page.skip // page.size + 1, "pageSize": page.size}
    beside |= {"startRow": 0, "endRow": 0, "totalRecord": len(rows), "totalPage": 0}
    return in_object("data", "result", page.of(rows), beside)


def _as_sent(measured: list[GpsFix]) -> list[GpsFix]:
    """The fixes in the order in which the vendor sends them."""
    sent = sorted(measured, key=lambda fix: fix.is_late)
    for i in range(7, len(sent) - 1, 23):
        sent[i], sent[i + 1] = sent[i + 1], sent[i]
    return sent


def _segments(
    call: MethodCall, devices: Sequence[Device], start: int, end: int
) -> tuple[list[bytes], list[dict[str, Any]]]:
    """Rows of all trips, and a total for every device that has any."""
    rows, totals = [], []
    for device in devices:
        trips = with_other_borders(call.world.trips(device.imei, start, end), call.fault)
        if trips:
            segments = [records.segment(device.imei, trip) for trip in trips]
            rows += [encode(without_measures(segment, call.fault)) for segment in segments]
            metres = sum(trip.distance_m for trip in trips)
            totals.append({"imei": device.imei, "totalMileage": round(metres, 1)})
    return rows, totals


def _stops(
    call: MethodCall, devices: Sequence[Device], start: int, end: int, kind: StopKind | None
) -> list[bytes]:
    found = [
        (stop, device)
        for device in devices
        for stop in with_other_borders(
            [stop for stop in call.world.stops(device.imei, start, end) if stop.kind is kind],
            call.fault,
        )
    ]
    found.sort(key=lambda pair: (-pair[0].start, pair[1].imei))
    standings = [records.standing(device, stop) for stop, device in found]
    return [encode(without_measures(standing, call.fault)) for standing in standings]


def _alarms(call: MethodCall, devices: Sequence[Device], start: int, end: int) -> list[bytes]:
    wanted = call.params.get("alertTypeId")
    found = [
        (raised, device)
        for device in devices
        for raised in call.world.alarms(device.imei, start, end)
        if not wanted or raised.alarm_type == wanted
    ]
    found.sort(key=lambda pair: (-pair[0].at, pair[1].imei, pair[0].alarm_type))
    return [encode(records.alarm(device, raised)) for raised, device in found]


def _running(call: MethodCall, device: Device, start: int, end: int) -> list[GpsFix]:
    return [fix for fix in call.world.fixes(device.imei, start, end) if fix.is_ignition_on]
