"""From form parameters to a reply: signed and on time, a good token, then the method."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from sandbox import device_methods, history_methods
from sandbox.call import Call
from sandbox.instants import MINUTE, parse
from sandbox.reply import ApiError, Reply
from sandbox.reports import Reports
from sandbox.tokens import Credentials, Tokens
from sandbox.world import World

METHODS: Mapping[str, Callable[[Call], Reply]] = {
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
_COMMON = ("method", "app_key", "timestamp", "sign")
_CLOCK_SKEW_S = 10 * MINUTE


def sign(secret: str, params: Mapping[str, str]) -> str:
    """Upper-case MD5 of secret, sorted names and values, secret; empty values left out (1.3)."""
    pairs = sorted((name, value) for name, value in params.items() if value and name != "sign")
    text = secret + "".join(name + value for name, value in pairs) + secret
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


class Protocol:
    """The API behind the socket; safe to call from many threads."""

    def __init__(self, world: World, credentials: Credentials, tokens: Tokens) -> None:
        self._world = world
        self._credentials = credentials
        self._tokens = tokens
        self._reports = Reports()

    def answer(self, params: Mapping[str, str], acted_on: Mapping[str, str] | None = None) -> Reply:
        """The reply to one request; failures of the API are replies too.

        `acted_on` are the parameters to obey, if they are not the ones that were signed.
        """
        try:
            self._authenticate(params)
            return self._dispatch(acted_on or params)
        except ApiError as error:
            return error.reply

    def _dispatch(self, params: Mapping[str, str]) -> Reply:
        method = params["method"]
        if method in self._tokens.methods:
            return self._tokens.methods[method](params)
        if method not in METHODS:
            raise ApiError(1007, "Illegal request method")
        self._tokens.check(params.get("access_token"))
        return METHODS[method](Call(self._world, self._reports, params))

    def _authenticate(self, params: Mapping[str, str]) -> None:
        """Which of the checks failed is not told: a wrong signature gets no explanation (1.3)."""
        for name in _COMMON:
            if not params.get(name):
                raise ApiError(1001, f"Parameter validation failed: {name}")
        if params["app_key"] != self._credentials.app_key:
            raise ApiError(1001, "invalid AppKey")
        try:
            skew_s = abs(time.time() - parse(params["timestamp"]))
        except ValueError:
            raise ApiError(1001, "Parameter validation failed: timestamp") from None
        expected = sign(self._credentials.app_secret, params).encode()
        if skew_s > _CLOCK_SKEW_S or not hmac.compare_digest(params["sign"].encode(), expected):
            raise ApiError(1001, "Parameter validation failed")
