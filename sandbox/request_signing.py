"""From form parameters to proof that the client knows the secret: signature, key and timestamp.

Source: docs/TRACKSOLID_API.md#signature and #common-parameters.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

from sandbox.instants import MINUTE, parse
from sandbox.reply import ApiError

_COMMON = ("method", "app_key", "timestamp", "sign")
_CLOCK_SKEW_S = 10 * MINUTE


def sign(secret: str, params: Mapping[str, str]) -> str:
    """The signature of a call: MD5 of secret + sorted names and values + secret, in hex capitals.

    Empty values and `sign` itself are left out.
    """
    pairs = sorted((name, value) for name, value in params.items() if value and name != "sign")
    text = secret + "".join(name + value for name, value in pairs) + secret
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def check_signature(params: Mapping[str, str], app_key: str, secret: str) -> None:
    """Raise ApiError 1001 unless the call was signed with this key and secret within ten minutes.

    The message does not say whether the signature or the timestamp is wrong: the vendor's does not
    either.
    """
    for name in _COMMON:
        if not params.get(name):
            raise ApiError(1001, f"Parameter validation failed: {name}")
    if params["app_key"] != app_key:
        raise ApiError(1001, "invalid AppKey")
    try:
        skew_s = abs(time.time() - parse(params["timestamp"]))
    except ValueError:
        raise ApiError(1001, "Parameter validation failed: timestamp") from None
    expected = sign(secret, params).encode()
    if skew_s > _CLOCK_SKEW_S or not hmac.compare_digest(params["sign"].encode(), expected):
        raise ApiError(1001, "Parameter validation failed")
