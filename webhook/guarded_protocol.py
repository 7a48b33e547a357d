"""uvicorn's HTTP protocol with a deadline and limits on headers and connections, which it lacks."""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 64 * 1024
# After SIGTERM, a request that is still arriving has this long.
GRACE_S = 5.0


class RequestProgress(NamedTuple):
    """How far the current request of a connection has come."""

    is_handled: bool
    """The request has arrived completely and its answer is not complete yet."""
    is_answer_begun: bool
    """A part of the answer has been sent."""


def _progress(protocol: HttpToolsProtocol) -> RequestProgress:
    """Read uvicorn's private state of a connection. No other place does this.

    uvicorn has no public way to ask how far a request has come. Without it, a deadline could cut an
    answer in two. Tried with uvicorn 0.54; tests/test_webhook_hostile.py notices a change.
    """
    cycle = protocol.cycle
    if cycle is None or cycle.response_complete:
        return RequestProgress(is_handled=False, is_answer_begun=False)
    return RequestProgress(is_handled=not cycle.more_body, is_answer_begun=cycle.response_started)


class GuardedProtocol(HttpToolsProtocol):
    """A connection that refuses requests that are too slow, too many or too long.

    `deadline_s` is the time for a request to arrive, `most_connections` the most at once. The
    methods without an underscore are called by uvicorn.
    """

    deadline_s: ClassVar[float]
    most_connections: ClassVar[int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._framing = 0
        """Bytes of this request outside its body: headers, sizes of chunks, trailers."""
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
        # Chunk sizes and trailers may be longer than the body itself, but not without limit.
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
        """Start the deadline."""
        self._deadline = self.loop.call_later(seconds, self._refuse, 408, "the request is too slow")

    def _disarm(self) -> None:
        """Cancel the deadline."""
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, text: str, headers: bytes = b"") -> None:
        """Answer in place of the app, unless it has begun to answer, and close the connection."""
        if not _progress(self).is_answer_begun:
            body = b'{"code":%d,"msg":"%s"}' % (status, text.encode())
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n"
            )
            self.transport.write(head.encode() + headers + b"\r\n" + body)
        self.transport.close()
