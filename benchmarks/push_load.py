"""The load of the receiver benchmark: CLIENTS clients that push as fast as they are answered.

python -m benchmarks.push_load PORT RECORDS SECONDS prints the rate and the latencies as JSON.
"""

import asyncio
import json
import statistics
import sys
import time
from urllib.parse import quote_plus

import uvloop

CLIENTS = 64
TOKEN = "a-token-of-thirty-two-characters"
RECORD = (
    '{"deviceImei":"%d","gpsTime":"2026-03-02 09:30:05","gateTime":"2026-03-02 09:30:07",'
    '"satelliteNum":14,"lng":36.8%05d,"lat":-1.28%04d,"gpsMode":0,"gpsSpeed":46,"direction":187,'
    '"acc":1,"postType":1,"altitude":412,"status":3,"distance":%d,"postMethod":0}'
)


def record_text(number: int) -> str:
    """A record of /pushgps; each number gives a different record."""
    return RECORD % (860_000_000_000_000 + number, number % 100_000, number % 10_000, number)


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
    """Requests per second, and the latencies p50 and p99 in milliseconds."""
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
    """An HTTP request that pushes so many records."""
    items = ",".join(record_text(number * 50 + n) for n in range(records))
    body = f"token={TOKEN}&data_list={quote_plus(f'[{items}]')}"
    return (
        "POST /pushgps HTTP/1.1\r\nHost: receiver\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


if __name__ == "__main__":
    port, records, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(_load(int(port), int(records), float(seconds)))))
