"""Compares landing with a plain COPY of the same rows into a table with the same index."""

import resource
import statistics
import time
import uuid
from datetime import UTC, datetime

from benchmarks.common import Result, scratch_database
from loader.batch import Batch
from loader.endpoints import Endpoint, endpoints
from loader.landing import Landing
from loader.question import Answer, Call, Question, ReplyPage
from loader.raw_tables import RECORD
from settings import settings
from warehouse.database import Database

RECORDS = 300_000
CALLS = 300
ROUNDS = 3
RECORD_TEXT = (
    '{"lat":-1.28%04d,"lng":36.81%04d,"gpsTime":"2026-03-02 09:30:05","direction":187,'
    '"gpsSpeed":46.0,"posType":1,"satellite":12,"ignition":"ON","accStatus":"ON","gpsMode":0,'
    '"confidence":null}'
)


def run() -> list[Result]:
    with scratch_database() as (database, work_dir):
        landing = Landing(database, work_dir)
        landing.prepare()
        trail = next(e for e in endpoints(settings()) if e.table == "track_list")
        answers = [_answer(trail, number) for number in range(CALLS)]
        before_mb = _peak_mb()
        landed, copied, peak_mb = [], [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            batch = Batch()
            for answer in answers:
                batch.add(answer)
            landing.land(batch)
            landed.append(RECORDS / (time.perf_counter() - began))
            peak_mb.append(_peak_mb() - before_mb)
            copied.append(_copy(database, batch))
    ratio = statistics.median(a / b for a, b in zip(landed, copied, strict=True))
    return [
        Result("landing / COPY, rows per second", ratio, ">= 0.4"),
        Result("landing, rows/s", statistics.median(landed)),
        Result("COPY, rows/s", statistics.median(copied)),
        Result(f"landing {RECORDS:,} rows, peak memory above start, MB", peak_mb[0]),
    ]


def _answer(endpoint: Endpoint, number: int) -> Answer:
    """An answer with 1,000 points of a trail, as the API client returns it."""
    imei = str(860_000_000_000_000 + number)
    now = datetime.now(UTC)
    request = f'{{"method": "{endpoint.method}", "imei": "{imei}"}}'
    call = Call(uuid.uuid4().hex, endpoint.name, endpoint.method, "a", request, (imei,), now, 1)
    count = RECORDS // CALLS
    records = tuple((RECORD_TEXT % (n, number)).encode() for n in range(count))
    return Answer(Question(endpoint, "a", (imei,)), [ReplyPage(call, records, now)])


def _copy(database: Database, batch: Batch) -> float:
    """Rows per second of a COPY of the batch into a table like raw.track_list."""
    table = dict(batch.tables())["track_list"]
    rows = list(zip(*(table[name].to_pylist() for name in RECORD.names), strict=True))
    with database.connect() as connection:
        connection.execute("create table copied as select * from raw.track_list limit 0")
        connection.execute("create index on copied (_dlt_load_id)")
        columns = ", ".join([*RECORD.names, "_dlt_load_id"])
        began = time.perf_counter()
        with connection.cursor().copy(f"copy copied ({columns}) from stdin") as copy:
            for row in rows:
                copy.write_row((*row, "1795454761.362498"))
        took_s = time.perf_counter() - began
        connection.execute("drop table copied")
    return len(rows) / took_s


def _peak_mb() -> float:
    """The highest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
