"""The API token: one for all threads and processes, renewed by one of them at a time.

The process that finds the token expired and takes the lease renews it; the others wait. No
transaction is open during a call. Source of the rules: docs/TRACKSOLID_API.md#token.
"""

import threading
import time
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from loader.http import (
    CONNECT_TIMEOUT_S,
    LoginRefused,
    RateLimited,
    TemporaryFailure,
    TokenRefused,
    Transport,
)
from loader.token_row import ConnectionSource, Token, TokenRow
from settings import Settings

log = structlog.get_logger()

LIFE_S = 7200  # the longest life that the vendor grants (docs/TRACKSOLID_API.md#token)
LOGIN_GAP = timedelta(seconds=60)  # one login a minute at most (docs/TRACKSOLID_API.md#token)
# Pause after a refused login: the first and the longest, doubled each time. A wrong password stays
# wrong, and an account with many failed logins may be locked.
REFUSED_PAUSE_S = (60.0, 900.0)
TIMEOUT_S = 30
# Long enough for one call: connecting, reading, and waiting for the budget. Renewed before each.
LEASE = timedelta(seconds=CONNECT_TIMEOUT_S + TIMEOUT_S + 20)
# How long to wait for another process: it may refresh, wait a minute before a login, and log in.
PATIENCE_S = 240


class Granted(msgspec.Struct, rename="camel"):
    """`result` of both token methods (docs/TRACKSOLID_API.md#token)."""

    access_token: str
    refresh_token: str
    expires_in: int | str  # seconds


class GrantReply(msgspec.Struct):
    """The reply of both token methods."""

    code: int | str
    message: str = ""
    result: Granted | None = None


class TokenCache:
    """Hands out the shared access token and renews it. Thread-safe."""

    def __init__(
        self, settings: Settings, transport: Transport, database: ConnectionSource
    ) -> None:
        self._transport = transport
        self._account = settings.tracksolid_account
        self._password_md5 = settings.tracksolid_password_md5.get_secret_value()
        self._row = TokenRow(database, self._account, settings.tracksolid_app_key)
        self._token: Token | None = None
        self._login_refused: LoginRefused | None = None
        self._next_login_at = 0.0  # by time.monotonic; set after a refused login
        self._refused_pause_s = REFUSED_PAUSE_S[0]
        self._lock = threading.Lock()

    def current(self, rejected: str | None = None) -> str:
        """A token that is still valid and is not `rejected`, which the API answered with 1004.

        Raises LoginRefused if the account cannot log in, and again without a call until the pause
        of REFUSED_PAUSE_S is over; TemporaryFailure if there is no token within PATIENCE_S.
        """
        with self._lock:
            if self._login_refused and time.monotonic() < self._next_login_at:
                raise self._login_refused
            if not _is_usable(self._token, rejected):
                self._token = self._fetch(rejected)
            assert self._token is not None
            return self._token.access

    def _fetch(self, rejected: str | None) -> Token:
        """Take the token from the row, or renew it; wait while another process does."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            token = self._row.token()
            if token is not None and _is_usable(token, rejected):
                return token
            if self._row.take_lease(token, LEASE):
                return self._renew(token)
            self._transport.pause(0.2)
        raise TemporaryFailure(
            f"another process has had the lease on the token for {PATIENCE_S} s without renewing it"
        )

    def _renew(self, token: Token | None) -> Token:
        """Refresh the token, or log in if there is none or the refresh is refused."""
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
            self._row.release_lease()

    def _log_in(self) -> Token:
        self._wait_for_login()
        self._row.note_login()  # before the call, in case this process is killed during it
        try:
            return self._grant(
                "jimi.oauth.token.get",
                {"user_id": self._account, "user_pwd_md5": self._password_md5},
            )
        except LoginRefused as error:
            self._login_refused = error
            self._next_login_at = time.monotonic() + self._refused_pause_s
            log.error("login refused", retry_in_s=self._refused_pause_s, reason=str(error))
            self._refused_pause_s = min(2 * self._refused_pause_s, REFUSED_PAUSE_S[1])
            raise
        finally:
            # The API counts from the moment at which a slow call reached it, perhaps only now.
            self._row.note_login()

    def _wait_for_login(self) -> None:
        """Hold the lease, and sleep until the account may log in again."""
        wait = self._row.wait_before_login(LOGIN_GAP)
        self._row.extend_lease(LEASE + wait)
        if wait:
            log.info("waiting to log in", wait_s=round(wait.total_seconds(), 1))
            self._transport.pause(wait.total_seconds())

    def _grant(self, method: str, private: dict[str, str]) -> Token:
        """Call a token method and store the token.

        Raises LoginRefused, TokenRefused, or TemporaryFailure.
        """
        response = self._transport.post(
            method, private | {"expires_in": str(LIFE_S)}, TIMEOUT_S, urgent=True
        )
        try:
            reply = msgspec.json.decode(response.content, type=GrantReply)
        except msgspec.MsgspecError:
            raise TemporaryFailure(
                f"{method}: the reply (HTTP {response.status_code}) holds no token"
            ) from None
        code = str(reply.code)
        if code == "1006":
            raise RateLimited(f"{method}: too many requests")
        if code == "1004":
            raise TokenRefused(f"{method}: {reply.message}")
        if code == "-1":
            raise TemporaryFailure(f"{method}: {reply.message}")
        if code != "0" or reply.result is None:
            raise LoginRefused(
                f"{method} refused account {self._account!r}: code {code} {reply.message!r};"
                " check TRACKSOLID_ACCOUNT, _PASSWORD_MD5, _APP_KEY and _APP_SECRET",
            )
        life_s = int(reply.result.expires_in)
        self._row.store(reply.result.access_token, reply.result.refresh_token, life_s)
        self._login_refused, self._refused_pause_s = None, REFUSED_PAUSE_S[0]
        log.info("token renewed", by=method, life_s=life_s)
        token = self._row.token()
        if token is None:
            raise TemporaryFailure("the row of the token was deleted during the renewal")
        return token


def _is_usable(token: Token | None, rejected: str | None) -> bool:
    return token is not None and token.access != rejected and datetime.now(UTC) < token.renew_at
