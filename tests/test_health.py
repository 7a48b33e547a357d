"""/health and /metrics of the orchestrator over real HTTP."""

import socket

import pytest
import requests
from waiting import TIMEOUT_S

from operations.service.health import JobMetrics, PortTaken, serving


def test_health_answers_get_and_head_and_503_with_a_problem() -> None:
    state: dict[str, object] = {"role": "leader"}
    with serving("127.0.0.1", 0, lambda: state, JobMetrics()) as port:
        url = f"http://127.0.0.1:{port}/health"
        got = requests.get(url, timeout=TIMEOUT_S)
        assert (got.status_code, got.json()) == (200, {"role": "leader"})
        head = requests.head(url, timeout=TIMEOUT_S)
        assert (head.status_code, head.content) == (200, b"")
        state["problem"] = "no sweep for 5 min"
        assert requests.get(url, timeout=TIMEOUT_S).status_code == 503
        assert requests.head(url, timeout=TIMEOUT_S).status_code == 503
        assert requests.get(f"http://127.0.0.1:{port}/other", timeout=TIMEOUT_S).status_code == 404


def test_metrics_count_the_runs_of_jobs() -> None:
    metrics = JobMetrics()
    with serving("127.0.0.1", 0, dict, metrics) as port:
        metrics.is_leader.set(1)
        metrics.ended("trips", "ok", 1.5, rows=12)
        metrics.ended("trips", "failed", 0.5)
        got = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S)
    assert got.headers["Content-Type"].startswith("text/plain; version=")
    lines = got.text.splitlines()
    assert "fireside_leader 1.0" in lines
    assert 'fireside_job_runs_total{job="trips",status="ok"} 1.0' in lines
    assert 'fireside_job_runs_total{job="trips",status="failed"} 1.0' in lines
    assert 'fireside_job_rows_total{job="trips"} 12.0' in lines
    assert 'fireside_job_duration_seconds{job="trips"} 0.5' in lines


def test_a_taken_port_names_the_setting_and_the_port_is_free_afterwards() -> None:
    with serving("127.0.0.1", 0, dict, JobMetrics()) as port:
        assert requests.get(f"http://127.0.0.1:{port}/health", timeout=TIMEOUT_S).ok
        expected = rf"cannot listen on 127.0.0.1:{port} .*; set ORCHESTRATOR_PORT"
        with (
            pytest.raises(PortTaken, match=expected),
            serving("127.0.0.1", port, dict, JobMetrics()),
        ):
            pass
    with socket.create_server(("127.0.0.1", port)):
        pass  # listening works again
