"""The HTTP/1.1 server: from a request to its form parameters, and from an outcome to bytes."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from threading import Event
from urllib.parse import parse_qsl, urlsplit

from sandbox.conduct import Outcome
from sandbox.faults import Fault

PATH = "/route/rest"
_LARGEST_REQUEST = 1_000_000


class HttpServer(ThreadingHTTPServer):
    """Serves each connection in a thread. `exchange` turns form parameters into an outcome."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], exchange: Callable[[Mapping[str, str]], Outcome]
    ) -> None:
        super().__init__(address, _Handler)
        self.exchange = exchange
        self.closing = Event()

    def close(self) -> None:
        """Stop serving, and end stalls that are under way."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Print errors, except that a client closed the connection, e.g. after its timeout."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_REQUEST:
            self.close_connection = True
            self._send(Outcome(b"", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        form = self.rfile.read(length).decode("utf-8", "replace")
        if urlsplit(self.path).path != PATH:
            self._send(Outcome(b"not found", status=HTTPStatus.NOT_FOUND))
            return
        outcome = self.server.exchange(dict(parse_qsl(form, keep_blank_values=True)))
        if outcome.stall_s:
            self.server.closing.wait(outcome.stall_s)
        if outcome.fault is Fault.RESET:
            self._reset()
        else:
            self._send(outcome)

    def _send(self, outcome: Outcome) -> None:
        """Send headers and body in one write. Content-Length is that of the body before any cut."""
        if outcome.fault is Fault.CUT_OFF:
            self.close_connection = True
        head = (
            f"HTTP/1.1 {outcome.status} {HTTPStatus(outcome.status).phrase}\r\n"
            f"Date: {self.date_time_string()}\r\n"
            f"Content-Type: {outcome.content_type}\r\n"
            f"Content-Length: {len(outcome.body)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + outcome.sent_body)

    def _reset(self) -> None:
        """Close with a TCP reset: with a linger time of zero, the kernel sends RST, not FIN."""
        self.close_connection = True
        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - given
        """Log nothing on the terminal: `Sandbox.requests` has the calls."""
