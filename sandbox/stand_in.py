"""The running stand-in Tracksolid: it serves a world, logs calls, and fails on request."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from threading import Thread
from types import TracebackType
from typing import NamedTuple

from sandbox.conduct import Conduct, Outcome
from sandbox.faults import Fault, FaultRule, Script
from sandbox.http_server import PATH, HttpServer
from sandbox.issued_tokens import Credentials, IssuedTokens
from sandbox.method_dispatch import MethodDispatch
from sandbox.world import World

_MOST_REQUESTS = 10_000


class Request(NamedTuple):
    """One call as it was received; `at` is the real time in Unix seconds."""

    method: str
    params: Mapping[str, str]
    at: float


class Sent(NamedTuple):
    """One response body as it was sent, and its fault, if any."""

    request: Request
    body: bytes
    fault: Fault | None


class Sandbox:
    """A stand-in Tracksolid that serves a world while its context is open.

    `port` 0 means any free port. `login_interval_seconds` is the least time between two logins
    (0 = no limit). `token_life_seconds` shortens the life that a client asks for. The same `seed`
    gives the same faults.
    """

    def __init__(
        self,
        world: World,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token_life_seconds: float | None = None,
        login_interval_seconds: float = 60.0,
        seed: int = 1,
    ) -> None:
        top = next(account.account for account in world.accounts if account.parent is None)
        self.world = world
        self.credentials = Credentials(account=top)
        self.requests: deque[Request] = deque(maxlen=_MOST_REQUESTS)
        self.sent: Callable[[Sent], None] | None = None
        """A function that gets every response, e.g. `sandbox.sent = kept.append`."""
        self._script = Script(seed)
        tokens = IssuedTokens(self.credentials, token_life_seconds, login_interval_seconds)
        dispatch = MethodDispatch(world, self.credentials, tokens)
        self._conduct = Conduct(dispatch, tokens, self._script)
        self._server = HttpServer((host, port), self._exchange)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{PATH}"

    @property
    def account(self) -> str:
        return self.credentials.account

    @property
    def app_key(self) -> str:
        return self.credentials.app_key

    @property
    def app_secret(self) -> str:
        return self.credentials.app_secret

    @property
    def password_md5(self) -> str:
        return self.credentials.password_md5

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a client, by name (docs/CONNECTIONS.md)."""
        return {
            "TRACKSOLID_API_URL": self.url,
            "TRACKSOLID_APP_KEY": self.app_key,
            "TRACKSOLID_APP_SECRET": self.app_secret,
            "TRACKSOLID_ACCOUNT": self.account,
            "TRACKSOLID_PASSWORD_MD5": self.password_md5,
        }

    def misbehave(
        self,
        method: str,
        fault: Fault | str,
        *,
        times: int | None = None,
        rate: float | None = None,
        after: int = 0,
        seconds: float = 5.0,
    ) -> None:
        """Let calls of a method fail ("*" = all except the token methods).

        Without `times` and `rate`, one call fails; otherwise at most `times` calls, each with the
        probability `rate` (0 to 1). The first `after` calls succeed. A stall lasts `seconds`.
        Raises ValueError for an unknown fault.
        """
        if times is None and rate is None:
            times = 1
        chance = 1.0 if rate is None else rate
        self._script.add(FaultRule(method, Fault(fault), times, chance, after, seconds))

    def clear(self) -> None:
        """Remove all faults."""
        self._script.clear()

    def __enter__(self) -> Sandbox:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self._thread.join()

    def _exchange(self, params: Mapping[str, str]) -> Outcome:
        request = Request(params.get("method", ""), params, time.time())
        self.requests.append(request)
        outcome = self._conduct.outcome(params)
        if self.sent is not None:
            self.sent(Sent(request, outcome.sent_body, outcome.fault))
        return outcome
