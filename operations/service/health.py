"""Serves the orchestrator's /health for supervisors and /metrics for Prometheus.

Uvicorn and Starlette run in a thread of the orchestrator. Both pages answer GET and HEAD.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

STOP_TIMEOUT_S = 5


class PortTaken(Exception):
    """The port is in use or not allowed. The text says which setting to change."""


class JobMetrics:
    """Counters and gauges of the jobs, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.is_leader = Gauge(
            "fireside_leader", "1 in the orchestrator that runs the jobs.", registry=self._registry
        )
        self._runs = Counter(
            "fireside_job_runs", "Job runs that ended.", ["job", "status"], registry=self._registry
        )
        self._rows = Counter(
            "fireside_job_rows", "Rows landed or written.", ["job"], registry=self._registry
        )
        self._duration = Gauge(
            "fireside_job_duration_seconds",
            "Duration of the last run.",
            ["job"],
            registry=self._registry,
        )
        self._succeeded = Gauge(
            "fireside_job_success_timestamp_seconds",
            "Time of the last successful run.",
            ["job"],
            registry=self._registry,
        )

    def ended(self, job: str, status: str, duration_s: float, rows: int = 0) -> None:
        """Count a run of `job` that ended with `status` (ok or failed)."""
        self._runs.labels(job, status).inc()
        self._rows.labels(job).inc(rows)
        self._duration.labels(job).set(duration_s)
        if status == "ok":
            self._succeeded.labels(job).set_to_current_time()

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


@contextmanager
def serving(
    host: str, port: int, health: Callable[[], dict[str, object]], metrics: JobMetrics
) -> Iterator[int]:
    """Serve both pages while the block runs; yields the port (`port` 0 means any free one).

    `health` returns the JSON of /health; if it has a "problem" the status is 503, else 200.
    Raises PortTaken.
    """

    def answer_health(_: Request) -> Response:
        state = health()
        return JSONResponse(state, status_code=503 if state.get("problem") else 200)

    def answer_metrics(_: Request) -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {host}:{port} ({error.strerror}); set ORCHESTRATOR_PORT"
        ) from error
    app = Starlette(routes=[Route("/health", answer_health), Route("/metrics", answer_metrics)])
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,  # logs.py configures logging
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    thread = Thread(target=server.run, args=([listener],), name="health", daemon=True)
    with listener:
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(STOP_TIMEOUT_S)
