"""Times intraday builds, each after all polls of a moving fleet with their look-back.

The stand-in sends 474 fixes per vehicle and day, as many as real devices. daily_build.py generates
fewer fixes, which allows long histories but hides the cost of fixes.
"""

import os
import statistics
import time
from datetime import UTC, datetime

from benchmarks.common import Result, scratch_database
from benchmarks.sweep import stand_in
from loader.endpoints import endpoints
from operations.service.jobs import JobActions
from settings import Settings

DEVICES = int(os.environ.get("VEHICLES", "2000"))
ROUNDS = 3
SLOWEST = """
    select name, duration_s::float8
    from dwh_gold.dbt_run_history
    where resource_type = 'model' and started_at >= %s
    order by 2 desc
    limit 3
"""


def run() -> list[Result]:
    with (
        scratch_database() as (database, folder),
        stand_in(folder, DEVICES, "--days", "1") as given,
    ):
        settings = Settings.model_validate(given | {"work_dir": folder / "work"})
        work = JobActions(settings, database, lambda: None)
        polls = list(dict.fromkeys(endpoint.table for endpoint in endpoints(settings)))
        work.poll(polls)
        work.build()  # builds the day so far
        fetched, seconds = [], []
        for _ in range(ROUNDS):
            fetched.append(work.poll(polls).rows)
            began = time.perf_counter()
            started_at = datetime.now(UTC)
            work.build()
            seconds.append(time.perf_counter() - began)
        with database.connect() as connection:
            slowest = connection.execute(SLOWEST, [started_at]).fetchall()
    return [
        Result(f"intraday build, {DEVICES:,} vehicles, s", statistics.median(seconds)),
        Result("  records it reads", statistics.median(fetched)),
        *(Result(f"  of which {name}, s (4 threads)", took_s) for name, took_s in slowest),
    ]
