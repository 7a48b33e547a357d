"""Measures the webhook receiver under 64 clients, compared with one that stores nothing and COPY.

WEBHOOK_BENCH_SECONDS sets the duration of the memory measurement; use 600 for the long form.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_plus

import asyncpg
import psutil
import uvloop

from benchmarks.common import Result, scratch_database
from webhook.app import make_app
from webhook.receiver_settings import ReceiverSettings
from webhook.spool import Spool
from webhook.spool_reader import SpoolReader
from webhook.uvicorn_server import serve

CLIENTS = 64
ROUNDS = 3
SECONDS = 3.0
MEMORY_SECONDS = float(os.environ.get("WEBHOOK_BENCH_SECONDS", "20"))
COPIED = 200_000
TOKEN = "a-token-of-thirty-two-characters"
RECORD = (
    '{"deviceImei":"%d","gpsTime":"2026-03-02 09:30:05","gateTime":"2026-03-02 09:30:07",'
    '"satelliteNum":14,"lng":36.8%05d,"lat":-1.28%04d,"gpsMode":0,"gpsSpeed":46,"direction":187,'
    '"acc":1,"postType":1,"altitude":412,"status":3,"distance":%d,"postMethod":0}'
)


def run() -> list[Result]:
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="fireside-bench-") as folder,
        _both(Path(folder)) as (
            keeping,
            discarding,
        ),
    ):
        for records in (1, 50):
            kept, discarded = [], []
            for _ in range(ROUNDS):  # alternating: other load on the machine affects both
                kept.append(keeping.load(records, SECONDS))
                discarded.append(discarding.load(records, SECONDS))
            ratio = statistics.median(
                a["rate"] / b["rate"] for a, b in zip(kept, discarded, strict=True)
            )
            rate = statistics.median(a["rate"] for a in kept)
            label = f"push, {records} record{'s' if records > 1 else ''} each, {CLIENTS} clients"
            p50, p99 = (statistics.median(a[name] for a in kept) for name in ("p50", "p99"))
            results += [
                Result(f"{label}: stored / discarded", ratio, ">= 0.7"),
                Result(f"{label}: requests/s", rate),
                Result(f"{label}: p50, ms", p50),
                Result(f"{label}: p99, ms", p99, "<= 25"),
            ]
        copied = _copy_rate()
        results += [
            Result("push, 50 records each / COPY, records/s", rate * 50 / copied, ">= 0.5"),
            Result("push, 50 records each: records/s", rate * 50),
            Result("COPY, records/s", copied),
        ]
        grown = keeping.memory_growth_mb()
        results.append(
            Result(f"push, memory growth over {MEMORY_SECONDS:.0f} s, MB", grown, "<= 10")
        )
    return results


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
            [sys.executable, "-m", "benchmarks.receiver", mode],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def load(self, records: int, seconds: float) -> dict[str, float]:
        """Push from another process, then empty the spool. Returns rate (1/s), p50 and p99 (ms)."""
        arguments = ["load", str(self.port), str(records), str(seconds)]
        command = [sys.executable, "-m", "benchmarks.receiver", *arguments]
        output = subprocess.run(command, check=True, capture_output=True).stdout
        self.drain()
        return json.loads(output)

    def drain(self) -> None:
        reader = SpoolReader(self.spool)
        while pushes := reader.batch(2_000, 64 * 1024**2):
            reader.forget(push.id for push in pushes)

    def memory_growth_mb(self) -> float:
        """Push and drain for MEMORY_SECONDS; peak MB of the second half minus the first."""
        process, done, seen = psutil.Process(self.process.pid), threading.Event(), []

        def watch() -> None:
            while not done.wait(1.0):
                self.drain()
                seen.append(process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.load(50, MEMORY_SECONDS)
        finally:
            done.set()
            watcher.join()
        half = len(seen) // 2
        return (max(seen[half:]) - max(seen[:half])) / 1024**2


@contextmanager
def _both(folder: Path) -> Iterator[tuple[MeasuredReceiver, MeasuredReceiver]]:
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


class PushClient(asyncio.Protocol):
    """Sends the next push when the last one is answered."""

    def __init__(self, pushes: list[bytes], took_s: list[float]) -> None:
        self._pushes = pushes
        self._took_s = took_s
        self._sent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):
            if b'"msg":"success"' not in data:
                raise RuntimeError(data.decode())
            self._took_s.append(time.perf_counter() - self._began)
            self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._pushes[self._sent % len(self._pushes)])
        self._sent += 1


async def _load(port: int, records: int, seconds: float) -> dict[str, float]:
    took_s: list[float] = []
    loop = asyncio.get_running_loop()
    for number in range(CLIENTS):
        pushes = [_push(number * 16 + n, records) for n in range(16)]
        await loop.create_connection(lambda p=pushes: PushClient(p, took_s), "127.0.0.1", port)
    await asyncio.sleep(0.3)  # until all clients are connected and warm
    took_s.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    rate = len(took_s) / (time.perf_counter() - began)
    cuts = statistics.quantiles(took_s, n=100)
    return {"rate": rate, "p50": cuts[49] * 1000, "p99": cuts[98] * 1000}


def _push(number: int, records: int) -> bytes:
    items = ",".join(_record(number * 50 + n) for n in range(records))
    body = f"token={TOKEN}&data_list={quote_plus(f'[{items}]')}"
    return (
        "POST /pushgps HTTP/1.1\r\nHost: receiver\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _record(number: int) -> str:
    return RECORD % (860_000_000_000_000 + number, number % 100_000, number % 10_000, number)


def _copy_rate() -> float:
    """Records per second of one COPY of the same records with raw's envelope, in one commit."""
    now = datetime.now(UTC)
    request = '{"path": "/pushgps", "receipt": "0123456789abcdef0123456789abcdef"}'
    rows = [
        (_record(n), str(860_000_000_000_000 + n), request, now, f"{n:032x}") for n in range(COPIED)
    ]

    async def copy(url: str) -> float:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(
                "create table copied (body text, imei text, request text, "
                "fetched_at timestamptz, record_id text)"
            )
            rates = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                await connection.copy_records_to_table("copied", records=rows)
                rates.append(COPIED / (time.perf_counter() - began))
                await connection.execute("truncate copied")
        finally:
            await connection.close()
        return statistics.median(rates)

    with scratch_database() as (database, _):
        return asyncio.run(copy(database.url))


def main() -> None:
    match sys.argv[1:]:
        case ["load", port, records, seconds]:
            print(json.dumps(uvloop.run(_load(int(port), int(records), float(seconds)))))
        case [mode]:
            settings = ReceiverSettings.model_validate({})
            serve(make_app(settings, Spool if mode == "keep" else DiscardingSpool), settings)


if __name__ == "__main__":
    main()
