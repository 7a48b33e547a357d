"""Measures the webhook receiver under 64 clients, compared with one that stores nothing and COPY.

WEBHOOK_BENCH_SECONDS sets the duration of the memory measurement; use 600 for the long form.
"""

import asyncio
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from benchmarks.common import Result, scratch_database
from benchmarks.measured_receiver import both_receivers
from benchmarks.push_load import CLIENTS, record_text

ROUNDS = 3
SECONDS = 3.0
MEMORY_SECONDS = float(os.environ.get("WEBHOOK_BENCH_SECONDS", "20"))
COPIED = 200_000


def run() -> list[Result]:
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="fireside-bench-") as folder,
        both_receivers(Path(folder)) as (keeping, discarding),
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
        grown = keeping.memory_growth_mb(MEMORY_SECONDS)
        results.append(
            Result(f"push, memory growth over {MEMORY_SECONDS:.0f} s, MB", grown, "<= 10")
        )
    return results


def _copy_rate() -> float:
    """Records per second of one COPY of the same records with raw's envelope, in one commit."""
    now = datetime.now(UTC)
    request = '{"path": "/pushgps", "receipt": "0123456789abcdef0123456789abcdef"}'
    rows = [
        (record_text(n), str(860_000_000_000_000 + n), request, now, f"{n:032x}")
        for n in range(COPIED)
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
