"""From a method and its parameters to a signed form post, within the budget of API calls."""

import hashlib
import queue
import threading
from datetime import UTC, datetime

import requests

from loader.call_budget import CallBudget, LoaderStopped
from settings import Settings

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"  # UTC without a zone (docs/TRACKSOLID_API.md#time)
CONNECT_TIMEOUT_S = 10


class Refused(Exception):
    """The API refused the question for good: a retry cannot help. `code` is the API's code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class LoginRefused(Exception):
    """The account cannot log in: no call is possible until the settings are corrected."""


class TemporaryFailure(Exception):
    """A call failed for a reason that may pass: retry it.

    `wait_s` is how many seconds to wait before the retry; None means the usual backoff.
    """

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class RateLimited(TemporaryFailure):
    """Code 1006: too many requests (docs/TRACKSOLID_API.md#codes)."""


class TokenRefused(TemporaryFailure):
    """Code 1004: the access token is invalid, missing or expired (docs/TRACKSOLID_API.md#codes)."""


def sign(parameters: dict[str, str], secret: str) -> str:
    """The signature of a call: MD5 of secret + sorted names and values + secret, in hex capitals.

    `parameters` are all that are sent, as plain text before URL encoding. Empty values are left
    out, because the server leaves them out. Source and test vector:
    docs/TRACKSOLID_API.md#signature.
    """
    pairs = "".join(name + value for name, value in sorted(parameters.items()) if name and value)
    return (
        hashlib.md5(f"{secret}{pairs}{secret}".encode(), usedforsecurity=False).hexdigest().upper()
    )


class Transport:
    """Sends signed calls. Tokens, retries and records are the business of its callers. Thread-safe.

    Source of the common parameters: docs/TRACKSOLID_API.md#common-parameters.
    """

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
        # requests does not promise that a session can be shared, so no two calls use one at once.
        self._idle_sessions = queue.SimpleQueue[requests.Session]()

    @property
    def is_stopping(self) -> bool:
        """True after `stop`."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make no further call. Safe in a signal handler."""
        self._stopping.set()

    def pause(self, seconds: float) -> None:
        """Sleep. Raises LoaderStopped as soon as the loader stops."""
        if self._stopping.wait(seconds):
            raise LoaderStopped

    def post(
        self, method: str, private: dict[str, str], timeout_s: float, *, urgent: bool = False
    ) -> requests.Response:
        """Sign and post one call; returns the HTTP response with its body.

        `private` are the parameters of the method; the common ones are added. An urgent call goes
        before all others that wait for the budget. Raises TemporaryFailure if no complete response
        arrives, LoaderStopped if the loader stops before the call is made.
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
                # Only the type: the error's text may contain the body of the request.
                raise TemporaryFailure(f"no answer ({type(error).__name__})") from None
            finally:
                self._idle_sessions.put(session)

    def _session(self) -> requests.Session:
        try:
            return self._idle_sessions.get_nowait()
        except queue.Empty:
            return requests.Session()
