"""From a method and its parameters to signed form posts, within the budget of calls per second."""

import hashlib
import threading
import time
from datetime import UTC, datetime

import requests

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


class CallBudget:
    """Spaces the calls of all threads evenly: each caller waits for a slot of its own.

    pyrate-limiter was tried first: with four threads it let 14 calls a second through of 50.
    """

    def __init__(self, per_second: float) -> None:
        self._gap_s = 1 / per_second
        self._free_at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            slot = max(self._free_at, time.monotonic())
            self._free_at = slot + self._gap_s
        time.sleep(max(0.0, slot - time.monotonic()))


class Transport:
    """Sends one signed call; knows nothing of tokens, retries or records. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.tracksolid_api_url
        self._app_key = settings.tracksolid_app_key
        self._secret = settings.tracksolid_app_secret.get_secret_value()
        self._budget = CallBudget(settings.tracksolid_calls_per_second)
        self._local = threading.local()

    def post(self, method: str, private: dict[str, str], timeout_s: float) -> requests.Response:
        """Post one call, signed at this moment, and return the HTTP response, body read.

        Raises Unsettled if no whole response came.
        """
        self._budget.wait()
        parameters = private | {
            "method": method,
            "app_key": self._app_key,
            "timestamp": datetime.now(UTC).strftime(TIME_FORMAT),
            "sign_method": "md5",
            "v": "1.0",
            "format": "json",
        }
        parameters["sign"] = sign(parameters, self._secret)
        try:
            return self._session.post(
                self._url, data=parameters, timeout=(CONNECT_TIMEOUT_S, timeout_s)
            )
        except requests.RequestException as error:
            # The type alone: the text may hold the whole body of the request.
            raise Unsettled(f"no answer ({type(error).__name__})") from None

    @property
    def _session(self) -> requests.Session:
        # requests does not promise that a session can be shared by threads.
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session
