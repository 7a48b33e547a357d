"""uvicorn's HTTP protocol with what it lacks: a deadline, a bound on headers and on connections."""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 64 * 1024
# What a request that is still on its way gets when the process is told to stop.
GRACE_S = 5.0


class Progress(NamedTuple):
    """How far the request of a connection has come."""

    is_handled: bool
    """It has arrived whole, and its answer is not out yet."""
    is_answer_begun: bool
    """A part of its answer is out."""


def _progress(protocol: HttpToolsProtocol) -> Progress:
    """Read uvicorn's own state of a connection: the only place that does.

    uvicorn has no public way to learn how far a request has come, and without it a deadline could
    cut an answer in two. Tried with uvicorn 0.54; tests/test_webhook_hostile.py notices a change.
    """
    cycle = protocol.cycle
    if cycle is None or cycle.response_complete:
        return Progress(is_handled=False, is_answer_begun=False)
    return Progress(is_handled=not cycle.more_body, is_answer_begun=cycle.response_started)


class GuardedProtocol(HttpToolsProtocol):
    """A connection whose requests arrive whole and in time, or not at all."""

    deadline_s: ClassVar[float]
    most_connections: ClassVar[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._framing = 0
        """Bytes of this request that are no body: headers, sizes of chunks, trailers."""
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(self.deadline_s)
        if len(self.connections) > self.most_connections:
            self._refuse(503, "too many connections", b"retry-after: 5\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._framing += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Chunks and trailers may be longer than what they carry, but not without end.
        if self._framing > MOST_HEADER_BYTES + self._body_bytes:
            self._refuse(431, "the headers are too long")
        elif self._deadline is None and not _progress(self).is_handled:
            self._arm(self.deadline_s)

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing = self._body_bytes = 0
        self._disarm()
        super().on_message_complete()

    def shutdown(self) -> None:
        super().shutdown()
        if self._deadline and not self.transport.is_closing():
            self._disarm()
            self._arm(min(GRACE_S, self.deadline_s))

    def _arm(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._refuse, 408, "the request is too slow")

    def _disarm(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, text: str, headers: bytes = b"") -> None:
        """Answer without the app, if it has not begun to, and hang up."""
        if not _progress(self).is_answer_begun:
            body = b'{"code":%d,"msg":"%s"}' % (status, text.encode())
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n"
            )
            self.transport.write(head.encode() + headers + b"\r\n" + body)
        self.transport.close()
