"""How the orchestrator is, over HTTP: /health for who restarts it, /metrics for Prometheus."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)


class PortTaken(Exception):
    """Nothing can listen there; the text says what to do."""


class Metrics:
    """What the orchestrator counts, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.is_leader = Gauge(
            "fireside_leader", "1 for the orchestrator that works.", registry=self._registry
        )
        self._runs = Counter(
            "fireside_job_runs", "Runs that ended.", ["job", "status"], registry=self._registry
        )
        self._rows = Counter(
            "fireside_job_rows", "Rows landed or written.", ["job"], registry=self._registry
        )
        self._duration = Gauge(
            "fireside_job_duration_seconds", "Of its last run.", ["job"], registry=self._registry
        )
        self._succeeded = Gauge(
            "fireside_job_success_timestamp_seconds",
            "Last time it ended well.",
            ["job"],
            registry=self._registry,
        )

    def ended(self, job: str, status: str, duration_s: float, rows: int = 0) -> None:
        """Count a run of a job."""
        self._runs.labels(job, status).inc()
        self._rows.labels(job).inc(rows)
        self._duration.labels(job).set(duration_s)
        if status == "ok":
            self._succeeded.labels(job).set_to_current_time()

    def text(self) -> bytes:
        return generate_latest(self._registry)


@contextmanager
def serving(
    host: str, port: int, health: Callable[[], dict[str, object]], metrics: Metrics
) -> Iterator[int]:
    """Answer in a thread while the block runs; yields the port, which may be given as 0 for any.

    `health` tells what is so; with a `problem` in it the answer is 503. Raises PortTaken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                told = health()
                status = 503 if told.get("problem") else 200
                self._answer(status, "application/json", json.dumps(told).encode())
            elif self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, metrics.text())
            else:
                self._answer(404, "text/plain", b"/health or /metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody wants a line for each probe."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {host}:{port} ({error.strerror}); set ORCHESTRATOR_PORT"
        ) from error
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
