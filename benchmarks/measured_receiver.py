"""A webhook receiver in a process of its own, with the load on it and its memory measured.

python -m benchmarks.measured_receiver keep|discard runs the process; `discard` stores no push.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.push_load import TOKEN
from webhook.app import make_app
from webhook.receiver_settings import ReceiverSettings
from webhook.spool import Spool
from webhook.spool_reader import SpoolReader
from webhook.uvicorn_server import serve


class MeasuredReceiver:
    """A webhook receiver in a process of its own."""

    def __init__(self, mode: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.spool = folder / f"{mode}.sqlite"
        environment = os.environ | {
            "WEBHOOK_TOKEN": TOKEN,
            "WEBHOOK_PORT": str(self.port),
            "SPOOL_PATH": str(self.spool),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.measured_receiver", mode],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def load(self, records: int, seconds: float) -> dict[str, float]:
        """Push from another process, then empty the spool. Returns rate (1/s), p50 and p99 (ms)."""
        arguments = [str(self.port), str(records), str(seconds)]
        command = [sys.executable, "-m", "benchmarks.push_load", *arguments]
        output = subprocess.run(command, check=True, capture_output=True).stdout
        self.drain()
        return json.loads(output)

    def drain(self) -> None:
        """Empty the spool without landing the pushes."""
        reader = SpoolReader(self.spool)
        while pushes := reader.batch(2_000, 64 * 1024**2):
            reader.forget(push.id for push in pushes)

    def memory_growth_mb(self, seconds: float) -> float:
        """Push and drain for so long; returns the peak MB of the second half minus the first."""
        process, done, seen = psutil.Process(self.process.pid), threading.Event(), []

        def watch() -> None:
            while not done.wait(1.0):
                self.drain()
                seen.append(process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.load(50, seconds)
        finally:
            done.set()
            watcher.join()
        half = len(seen) // 2
        return (max(seen[half:]) - max(seen[:half])) / 1024**2


@contextmanager
def both_receivers(folder: Path) -> Iterator[tuple[MeasuredReceiver, MeasuredReceiver]]:
    """Run a receiver that keeps pushes and one that discards them."""
    receivers = MeasuredReceiver("keep", folder), MeasuredReceiver("discard", folder)
    try:
        for receiver in receivers:
            _wait_for(receiver.port)
        yield receivers
    finally:
        for receiver in receivers:
            receiver.process.terminate()
            receiver.process.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"no receiver listens on port {port} after 30 s")


class DiscardingSpool(Spool):
    """A spool that stores nothing: the upper bound to compare with."""

    async def append(self, *_: object) -> str:
        return ""


if __name__ == "__main__":
    settings = ReceiverSettings.model_validate({})
    serve(make_app(settings, Spool if sys.argv[1] == "keep" else DiscardingSpool), settings)
