"""From form parameters to a reply: check signature and token, then call the method's function."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox import device_methods, history_methods
from sandbox.faults import Fault
from sandbox.issued_tokens import Credentials, IssuedTokens
from sandbox.method_call import MethodCall
from sandbox.reply import ApiError, ReplyBody
from sandbox.reports import Reports
from sandbox.request_signing import check_signature
from sandbox.world import World

METHODS: Mapping[str, Callable[[MethodCall], ReplyBody]] = {
    "jimi.user.child.list": device_methods.child_list,
    "jimi.user.device.list": device_methods.device_list,
    "jimi.track.device.detail": device_methods.device_detail,
    "jimi.user.device.location.list": device_methods.location_list,
    "jimi.device.location.get": device_methods.location_get,
    "jimi.device.track.list": history_methods.track_list,
    "jimi.device.track.mileage": history_methods.track_mileage,
    "jimi.open.platform.report.parking": history_methods.parking,
    "jimi.device.alarm.list": history_methods.alarm_list,
    "jimi.open.platform.fence.list": device_methods.fence_list,
    "jimi.open.platform.fence.detail": device_methods.fence_detail,
    "jimi.device.obd.list": history_methods.obd_list,
}
"""Every method except the token methods; docs/TRACKSOLID_API.md has a section for each."""
REPORTS = frozenset(("jimi.device.track.mileage", "jimi.open.platform.report.parking"))
"""The methods that report trips and stops."""


class MethodDispatch:
    """The API without HTTP. Thread-safe."""

    def __init__(self, world: World, credentials: Credentials, tokens: IssuedTokens) -> None:
        self._world = world
        self._credentials = credentials
        self._tokens = tokens
        self._reports = Reports()

    def answer(
        self,
        params: Mapping[str, str],
        acted_on: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> ReplyBody:
        """The reply to one call. A failure of the API is a reply with a code, not an exception.

        `params` are the signed parameters. `acted_on` replaces them after the signature is checked,
        so that a fault can answer a different page. `fault` changes a report of trips or stops.
        """
        try:
            check_signature(params, self._credentials.app_key, self._credentials.app_secret)
            return self._call(acted_on or params, fault)
        except ApiError as error:
            return error.reply

    def names_first_device(self, params: Mapping[str, str]) -> bool:
        """Whether the call asks about the first device of the fleet, alone or among others."""
        asked = params.get("imeis", params.get("imei", ""))
        return min(self._world.devices) in asked.split(",")

    def _call(self, params: Mapping[str, str], fault: Fault | None) -> ReplyBody:
        method = params["method"]
        if method in self._tokens.methods:
            return self._tokens.methods[method](params)
        if method not in METHODS:
            raise ApiError(1007, "Illegal request method")
        self._tokens.check(params.get("access_token"))
        return METHODS[method](MethodCall(self._world, self._reports, params, fault))
