"""The API token: one for all threads and processes, kept in tracksolid.api_token_cache.

The first process that finds it expired takes a lease on its row and renews it; the others wait.
No transaction is open while a call is under way. The rules are those of
docs/TRACKSOLID_API.md#token.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
import psycopg
import structlog

from loader.http import (
    CONNECT_TIMEOUT_S,
    LoginRefused,
    RateLimited,
    TokenRefused,
    Transport,
    Unsettled,
)
from settings import Settings

log = structlog.get_logger()

LIFE_S = 7200  # the longest life the vendor grants (docs/TRACKSOLID_API.md#token)
LOGIN_GAP = timedelta(seconds=60)  # token.get at most once a minute (docs/TRACKSOLID_API.md#token)
# After a refused login: a changed password does not heal by itself, and an account that is asked
# without end may be locked. Doubled each time.
REFUSED_PAUSE_S = (60.0, 900.0)
TIMEOUT_S = 30
# Of one call: connecting, reading, and waiting for the budget. Taken again before each call.
LEASE = timedelta(seconds=CONNECT_TIMEOUT_S + TIMEOUT_S + 20)
# Another process may hold the lease for a refresh, a minute of waiting to log in, and a login.
PATIENCE_S = 240


class Granted(msgspec.Struct, rename="camel"):
    """`result` of both token methods; expiresIn comes as number or text."""

    access_token: str
    refresh_token: str
    expires_in: int | str


class GrantReply(msgspec.Struct):
    code: int | str
    message: str = ""
    result: Granted | None = None


@dataclass(frozen=True)
class Token:
    access: str
    refresh: str
    renew_at: datetime


class Connecting(Protocol):
    """Something that opens autocommit connections."""

    def connect(self) -> psycopg.Connection: ...


class TokenCache:
    """Hands out the shared access token and renews it. Thread-safe."""

    def __init__(self, settings: Settings, transport: Transport, database: Connecting) -> None:
        self._transport = transport
        self._database = database
        self._account = settings.tracksolid_account
        self._password_md5 = settings.tracksolid_password_md5.get_secret_value()
        self._key = {"account": self._account, "app_key": settings.tracksolid_app_key}
        self._token: Token | None = None
        self._lease: datetime | None = None  # until when this process holds it
        self._login_refused: LoginRefused | None = None
        self._next_login_at = 0.0  # of time.monotonic, after a refused one
        self._refused_pause_s = REFUSED_PAUSE_S[0]
        self._lock = threading.Lock()

    def current(self, rejected: str | None = None) -> str:
        """A token with life left that is not `rejected` (one the API answered 1004 to).

        Raises LoginRefused if the account cannot log in (and again at once until a pause is over:
        REFUSED_PAUSE_S), Unsettled if no token came in time.
        """
        with self._lock:
            if self._login_refused and time.monotonic() < self._next_login_at:
                raise self._login_refused
            if not self._usable(self._token, rejected):
                self._token = self._fetch(rejected)
            assert self._token is not None
            return self._token.access

    def _fetch(self, rejected: str | None) -> Token:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            token = self._read()
            if token is not None and self._usable(token, rejected):
                return token
            if self._take_lease(token):
                return self._renew(token)
            self._transport.pause(0.2)
        raise Unsettled("another process holds the token's lease and does not renew it")

    def _renew(self, token: Token | None) -> Token:
        try:
            if token is not None:
                try:
                    return self._grant(
                        "jimi.oauth.token.refresh",
                        {"access_token": token.access, "refresh_token": token.refresh},
                    )
                except (LoginRefused, TokenRefused) as error:
                    log.warning("token refresh refused, logging in", reason=str(error))
            return self._log_in()
        finally:
            # Not a lease that another process has taken since this one ran out.
            self._execute(
                "update {table} set renewing_until = null"
                " where {key} and renewing_until = %(lease)s",
                lease=self._lease,
            )

    def _log_in(self) -> Token:
        self._wait_for_login()
        self._note_login()  # before the call, so that a kill during it does not hide it
        try:
            return self._grant(
                "jimi.oauth.token.get",
                {"user_id": self._account, "user_pwd_md5": self._password_md5},
            )
        except LoginRefused as error:
            self._login_refused = error
            self._next_login_at = time.monotonic() + self._refused_pause_s
            log.error("login refused", again_in_s=self._refused_pause_s, reason=str(error))
            self._refused_pause_s = min(2 * self._refused_pause_s, REFUSED_PAUSE_S[1])
            raise
        finally:
            # The API counts from when the call reached it, which may have been only now.
            self._note_login()

    def _grant(self, method: str, private: dict[str, str]) -> Token:
        response = self._transport.post(
            method, private | {"expires_in": str(LIFE_S)}, TIMEOUT_S, urgent=True
        )
        try:
            reply = msgspec.json.decode(response.content, type=GrantReply)
        except msgspec.MsgspecError:
            raise Unsettled(f"{method}: HTTP {response.status_code}, not a token") from None
        code = str(reply.code)
        if code == "1006":
            raise RateLimited(f"{method}: too many requests")
        if code == "1004":
            raise TokenRefused(f"{method}: {reply.message}")
        if code == "-1":
            raise Unsettled(f"{method}: {reply.message}")
        if code != "0" or reply.result is None:
            raise LoginRefused(
                f"{method} refused account {self._account!r}: code {code} {reply.message!r};"
                " check TRACKSOLID_ACCOUNT, _PASSWORD_MD5, _APP_KEY and _APP_SECRET",
            )
        life_s = int(reply.result.expires_in)
        self._execute(
            "update {table} set access_token = %(access)s, refresh_token = %(refresh)s,"
            " obtained_at = now(), expires_at = now() + make_interval(secs => %(life_s)s)"
            " where {key}",
            access=reply.result.access_token,
            refresh=reply.result.refresh_token,
            life_s=life_s,
        )
        self._login_refused, self._refused_pause_s = None, REFUSED_PAUSE_S[0]
        log.info("token renewed", by=method, life_s=life_s)
        return self._read() or self._lost()

    def _wait_for_login(self) -> None:
        """Hold the lease, and sleep until the account may log in again."""
        row = self._execute(
            "select login_at + %(gap)s - now() from {table} where {key}", gap=LOGIN_GAP
        )
        wait = max(row[0] if row and row[0] else timedelta(), timedelta())
        self._hold_lease(wait)
        if wait:
            log.info("waiting to log in", wait_s=round(wait.total_seconds(), 1))
            self._transport.pause(wait.total_seconds())

    def _hold_lease(self, wait: timedelta) -> None:
        """Take the lease again, for the next call after this wait."""
        row = self._execute(
            "update {table} set renewing_until = now() + %(lease)s where {key}"
            " returning renewing_until",
            lease=LEASE + wait,
        )
        self._lease = row[0] if row else None

    def _note_login(self) -> None:
        self._execute("update {table} set login_at = now() where {key}")

    def _take_lease(self, seen: Token | None) -> bool:
        """True for the one process that may renew the token that was seen."""
        self._execute(
            "insert into {table} (account, app_key) values (%(account)s, %(app_key)s)"
            " on conflict do nothing"
        )
        taken = self._execute(
            "update {table} set renewing_until = now() + %(lease)s where {key}"
            " and coalesce(renewing_until, '-infinity') < now()"
            " and access_token is not distinct from %(seen)s returning renewing_until",
            lease=LEASE,
            seen=seen.access if seen else None,
        )
        self._lease = taken[0] if taken else None
        return taken is not None

    def _read(self) -> Token | None:
        row = self._execute(
            # Ten minutes before the end, or a quarter of a shorter life.
            "select access_token, refresh_token,"
            " expires_at - least(interval '10 minutes', (expires_at - obtained_at) / 4)"
            " from {table} where {key} and access_token is not null"
        )
        return Token(*row) if row else None

    def _usable(self, token: Token | None, rejected: str | None) -> bool:
        return token is not None and token.access != rejected and datetime.now(UTC) < token.renew_at

    def _execute(self, statement: str, **values: Any) -> tuple[Any, ...] | None:
        text = statement.format(
            table="tracksolid.api_token_cache",
            key="account = %(account)s and app_key = %(app_key)s",
        )
        with self._database.connect() as connection:
            result = connection.execute(text.encode(), self._key | values)
            return result.fetchone() if result.description else None

    def _lost(self) -> Token:
        raise Unsettled("the token's row vanished from tracksolid.api_token_cache")
