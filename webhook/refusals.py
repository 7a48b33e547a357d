"""From an error to the answer that the sender gets. Code 503 means that a retry may succeed."""

import sqlite3
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from webhook.metrics import ReceiverMetrics
from webhook.spool import NotStored, Overloaded

UNKNOWN_PATH = "unknown path: push to /pushgps, /pushalarm, /push and so on"
RETRY_TEXTS: dict[type[Exception], str] = {
    Overloaded: "too much is waiting for the disk; send the push again",
    NotStored: "the push could not be kept; send it again",
    sqlite3.Error: "the spool cannot be read",
}
RETRY_AFTER = {"Retry-After": "5"}


def install(app: FastAPI, metrics: ReceiverMetrics) -> None:
    """Let the app answer errors as JSON with code and msg, as the platform does, and count them."""

    def answer(
        request: Request, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        metrics.answered(request.path_params.get("push", "other"), status)
        return JSONResponse({"code": status, "msg": text}, status, headers)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        text, headers = error.detail, error.headers
        if error.status_code == 404:
            text = UNKNOWN_PATH
        if error.status_code == 405 and "push" in request.path_params:
            headers = {"Allow": "GET, HEAD, POST"}
        return answer(request, error.status_code, text, headers)

    @app.exception_handler(Overloaded)
    @app.exception_handler(NotStored)
    @app.exception_handler(sqlite3.Error)
    async def postponed(request: Request, error: Exception) -> Response:
        text = next(text for kind, text in RETRY_TEXTS.items() if isinstance(error, kind))
        return answer(request, 503, text, RETRY_AFTER)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, _: ClientDisconnect) -> Response:
        # Nobody receives this answer, but it is counted.
        return answer(request, 408, "the sender closed the connection")
