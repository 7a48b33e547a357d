"""Methods about accounts, devices, newest positions and fences: from an authorised call to a reply.

docs/TRACKSOLID_API.md explains each in the section of its name. Each raises ApiError.
"""

from __future__ import annotations

from sandbox import device_records as records
from sandbox.entities import Device
from sandbox.method_call import MethodCall
from sandbox.reply import ApiError, ReplyBody, encode, in_object, in_result, object_in_result


def child_list(call: MethodCall) -> ReplyBody:
    """The accounts directly below the target account."""
    target = call.account("target")
    children = (account for account in call.world.accounts if account.parent == target.account)
    return in_result([encode(records.child(account)) for account in children])


def device_list(call: MethodCall) -> ReplyBody:
    """The devices directly below the target account. Paging parameters are ignored."""
    return in_result([encode(records.listed(device)) for device in _directly_under(call)])


def device_detail(call: MethodCall) -> ReplyBody:
    """All fields of one device."""
    device = call.device()
    fix = call.world.last_fix(device.imei)
    metres = call.world.odometer_m(device.imei, fix.at) if fix else None
    return object_in_result(records.detail(device, _customer(call, device), metres))


def location_list(call: MethodCall) -> ReplyBody:
    """The newest fixes of all devices of an account, without the devices that never had one."""
    return in_result(_locations(call, _directly_under(call)))


def location_get(call: MethodCall) -> ReplyBody:
    """The newest fixes of the devices in `imeis`."""
    return in_result(_locations(call, call.devices()))


def fence_list(call: MethodCall) -> ReplyBody:
    """The fences of an account, by page."""
    account = call.account("account").account
    page = call.numbered_page(largest=50, default=10)
    fences = [fence for fence in call.world.fences if fence.account == account]
    rows = [encode(records.fence(fence)) for fence in page.of(fences)]
    return in_object("result", "rows", rows, {"total": len(fences)})


def fence_detail(call: MethodCall) -> ReplyBody:
    """One fence."""
    wanted = call.text("fence_id")
    for fence in call.world.fences:
        if fence.fence_id.lstrip("0") == wanted.lstrip("0"):  # it may have been sent as a number
            return object_in_result(records.fence(fence))
    raise ApiError(1100, "Business exception ")


def _customer(call: MethodCall, device: Device) -> str:
    return next(a.name for a in call.world.accounts if a.account == device.account)


def _directly_under(call: MethodCall) -> list[Device]:
    target = call.account("target").account
    return [device for device in call.world.devices.values() if device.account == target]


def _locations(call: MethodCall, devices: list[Device]) -> list[bytes]:
    world, rows, now = call.world, [], call.world.now()
    customers = {account.account: account.name for account in world.accounts}
    for device in devices:
        fix = world.last_fix(device.imei)
        if fix is None and not device.is_expired:
            continue
        heartbeat = world.last_heartbeat(device.imei)
        metres = world.odometer_m(device.imei, fix.at) if fix else 0.0
        customer = customers[device.account]
        rows.append(encode(records.location(device, customer, fix, heartbeat, metres, now)))
    return rows
