"""From a method and its parameters to signed form posts, within the budget of calls per second."""

import hashlib
import queue
import threading
from datetime import UTC, datetime

import requests

from loader.call_budget import CallBudget, Stopped
from settings import Settings

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"  # UTC, no zone mark (docs/TRACKSOLID_API.md#time)
CONNECT_TIMEOUT_S = 10


class Refused(Exception):
    """The API said no for good: asking again the same way cannot help. `code` is its code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class LoginRefused(Exception):
    """The account cannot log in: no call can be made until somebody mends the settings."""


class Unsettled(Exception):
    """A call failed in a way that may pass; `wait_s` is how long to wait, None for the usual."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class RateLimited(Unsettled):
    """Code 1006: too many requests (docs/TRACKSOLID_API.md#codes)."""


class TokenRefused(Unsettled):
    """Code 1004: the access token is invalid, missing or expired (docs/TRACKSOLID_API.md#codes)."""


def sign(parameters: dict[str, str], secret: str) -> str:
    """The signature of a call: MD5 of secret + sorted names and values + secret, in hex capitals.

    `parameters` are all that are sent, as plain text before URL encoding. Empty values are left
    out, as the server leaves them out. Source and test vector: docs/TRACKSOLID_API.md#signature.
    """
    pairs = "".join(name + value for name, value in sorted(parameters.items()) if name and value)
    return (
        hashlib.md5(f"{secret}{pairs}{secret}".encode(), usedforsecurity=False).hexdigest().upper()
    )


class Transport:
    """Sends one signed call; knows nothing of tokens, retries or records. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.tracksolid_api_url
        self._app_key = settings.tracksolid_app_key
        self._secret = settings.tracksolid_app_secret.get_secret_value()
        self._stopping = threading.Event()
        self._budget = CallBudget(
            settings.tracksolid_calls_per_second,
            settings.tracksolid_parallel_calls,
            self._stopping,
        )
        # requests does not promise that threads can share a session: each call has one alone.
        self._idle = queue.SimpleQueue[requests.Session]()

    @property
    def is_stopping(self) -> bool:
        """Was `stop` called?"""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make no further call. Safe in a signal handler."""
        self._stopping.set()

    def pause(self, seconds: float) -> None:
        """Sleep. Raises Stopped as soon as the loader stops."""
        if self._stopping.wait(seconds):
            raise Stopped

    def post(
        self, method: str, private: dict[str, str], timeout_s: float, *, urgent: bool = False
    ) -> requests.Response:
        """Post one call, signed at this moment, and return the HTTP response, body read.

        An urgent call goes before all that wait for the budget. Raises Unsettled if no whole
        response came, Stopped if the loader stopped before the call was made.
        """
        with self._budget.call(urgent=urgent):
            parameters = private | {
                "method": method,
                "app_key": self._app_key,
                "timestamp": datetime.now(UTC).strftime(TIME_FORMAT),
                "sign_method": "md5",
                "v": "1.0",
                "format": "json",
            }
            parameters["sign"] = sign(parameters, self._secret)
            session = self._session()
            try:
                return session.post(
                    self._url, data=parameters, timeout=(CONNECT_TIMEOUT_S, timeout_s)
                )
            except requests.RequestException as error:
                # The type alone: the text may hold the whole body of the request.
                raise Unsettled(f"no answer ({type(error).__name__})") from None
            finally:
                self._idle.put(session)

    def _session(self) -> requests.Session:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return requests.Session()
