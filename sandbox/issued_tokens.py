"""Access tokens: login (once a minute), refresh, expiry. Rules: docs/TRACKSOLID_API.md#token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sandbox.instants import plain
from sandbox.reply import ApiError, ReplyBody, object_in_result


@dataclass(slots=True)
class Credentials:
    """The made-up secrets of the only client. Tests may change the password at run time."""

    app_key: str = "SANDBOXAPPKEY0000000000000000000"
    app_secret: str = "sandbox-app-secret"  # noqa: S105 - made up
    account: str = "sandbox_fleet"
    password_md5: str = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up


class IssuedTokens:
    """All tokens of one sandbox. Thread-safe.

    A login leaves earlier tokens valid; a refresh ends the old token. `life_seconds` shortens the
    life that a client asks for. `login_interval_seconds` is the least time between two logins.
    """

    def __init__(
        self, credentials: Credentials, life_seconds: float | None, login_interval_seconds: float
    ) -> None:
        self._credentials = credentials
        self._life_s = life_seconds
        self._login_interval_s = login_interval_seconds
        self._last_login = float("-inf")
        self._expiries: dict[str, float] = {}
        self._refreshes: dict[str, str] = {}
        self._lock = Lock()
        self.methods: Mapping[str, Callable[[Mapping[str, str]], ReplyBody]] = {
            "jimi.oauth.token.get": self._get,
            "jimi.oauth.token.refresh": self._refresh,
        }

    def check(self, token: str | None) -> None:
        """Raise ApiError 1004 unless the token is valid now."""
        with self._lock:
            if self._expiries.get(token or "", float("-inf")) <= time.monotonic():
                raise ApiError(1004, "Illegal access, token exception!")

    def revoke(self, token: str | None) -> None:
        """End a token's life. Its refresh token stays valid."""
        with self._lock:
            self._expiries.pop(token or "", None)

    def _get(self, params: Mapping[str, str]) -> ReplyBody:
        life_s = self._asked_life(params)
        login = params.get("user_id"), params.get("user_pwd_md5")
        if login != (self._credentials.account, self._credentials.password_md5):
            raise ApiError(1002, "Incorrect user name or password")
        with self._lock:
            now = time.monotonic()
            if now - self._last_login < self._login_interval_s:
                raise ApiError(1006, "Illegal access, request frequency is too high")
            self._last_login = now
            return object_in_result(self._issue(life_s))

    def _refresh(self, params: Mapping[str, str]) -> ReplyBody:
        life_s = self._asked_life(params)
        token = params.get("access_token", "")
        with self._lock:
            refresh = params.get("refresh_token", "")
            if self._refreshes.get(refresh) != token:
                raise ApiError(1004, "Illegal request, token is invalid")
            del self._refreshes[refresh]
            self._expiries.pop(token, None)
            return object_in_result(self._issue(life_s))

    def _asked_life(self, params: Mapping[str, str]) -> int:
        """`expires_in` of the call, 60 to 7200 seconds. Raises ApiError 1001 for anything else."""
        asked = params.get("expires_in", "")
        if not asked.isascii() or not asked.isdigit() or not 60 <= int(asked) <= 7200:
            raise ApiError(1001, "Parameter validation failed: expires_in")
        return int(asked)

    def _issue(self, asked_s: int) -> dict[str, Any]:
        life_s = asked_s if self._life_s is None else min(self._life_s, asked_s)
        access, refresh = secrets.token_hex(16), secrets.token_hex(16)
        self._expiries[access] = time.monotonic() + life_s
        self._refreshes[refresh] = access
        return {
            "appKey": self._credentials.app_key,
            "account": self._credentials.account,
            "accessToken": access,
            "expiresIn": int(life_s),
            "refreshToken": refresh,
            "time": plain(int(time.time())),
        }
