"""While receiver and database are killed: every acknowledged push reaches staging, no other."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from waiting import TIMEOUT_S, eventually

from loader.landing import Landing
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.embedded import EmbeddedServer, embedded_url, pg_ctl, start_embedded

# make bench uses 50
LONG = pytest.param(int(os.environ.get("WEBHOOK_KILLS", "6")), marks=pytest.mark.long)
CLIENTS = 16
TOKEN = "test-token"
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
Key = tuple[str, str]


class PushClients:
    """Sixteen senders of unique fixes; an unanswered push is sent again, as the vendor does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.sent: set[Key] = set()
        self.acknowledged: set[Key] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> "PushClients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def have_answers(self, count: int) -> None:
        eventually(lambda: len(self.acknowledged) >= count, f"{count} acknowledged pushes")

    def _run(self, number: int) -> None:
        imei, at, session = f"8600000000{number:05}", FIRST, requests.Session()
        while not self._stop.is_set():
            at += timedelta(seconds=1)
            gps_time = f"{at:%Y-%m-%d %H:%M:%S}"
            record = {"deviceImei": imei, "gpsTime": gps_time, "lat": -1.2, "lng": 36.8}
            form = {"token": TOKEN, "data_list": json.dumps([record])}
            with self._lock:
                self.sent.add((imei, gps_time))
            while not self._stop.is_set():
                try:
                    answer = session.post(self._url, data=form, timeout=5)
                except requests.RequestException:
                    time.sleep(0.05)
                    continue
                if answer.status_code == 200:
                    with self._lock:
                        self.acknowledged.add((imei, gps_time))
                    break


def start_receiver(port: int, spool: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "WEBHOOK_TOKEN": TOKEN,
        "WEBHOOK_PORT": str(port),
        "SPOOL_PATH": str(spool),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "webhook"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A PostgreSQL server that this test may stop."""
    with tempfile.TemporaryDirectory(prefix="fireside-test-") as folder:
        running = start_embedded(Path(folder) / "postgres")
        try:
            yield running
        finally:
            running.cleanup()


@pytest.mark.parametrize("kills", [LONG])
def test_every_acknowledged_push_is_in_staging(
    server: EmbeddedServer, tmp_path: Path, kills: int
) -> None:
    chance = random.Random(3)
    spool = tmp_path / "spool.sqlite"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    receiver = start_receiver(port, spool)
    try:
        database = embedded_url(server).sibling("pushed")
        database.prepare()
        work_dir = tmp_path / "work"
        Landing(database, work_dir).prepare()
        drain = [sys.executable, str(ROOT / "orchestrate.py"), "drain"]
        environment = os.environ | {
            "DATABASE_URL": database.url,
            "SPOOL_PATH": str(spool),
            "WORK_DIR": str(work_dir),
        }
        failed = 0
        with PushClients(f"http://127.0.0.1:{port}/pushgps") as clients:
            clients.have_answers(100)
            for number in range(kills):
                # Each round kills the receiver; every second round also stops the database.
                if number % 2:
                    stop = ["-w", "-m", "immediate", "stop"]
                    pg_ctl(stop, pgdata=server.pgdata, user=server.system_user)
                drained = subprocess.Popen(drain, env=environment, stderr=subprocess.DEVNULL)
                time.sleep(chance.uniform(0.1, 0.8))
                receiver.kill()
                receiver.wait()
                receiver = start_receiver(port, spool)
                failed += drained.wait() != 0
                server.ensure_postgres_running()
                clients.have_answers(len(clients.acknowledged) + 20)
        assert failed == kills // 2  # the drains without a database failed
        receiver.terminate()
        assert receiver.wait(timeout=TIMEOUT_S) == 0
        subprocess.run(drain, env=environment, check=True)
        assert not subprocess.run(
            drain, env=environment, check=True, capture_output=True, text=True
        ).stdout.count("push_gps")

        project = Settings(work_dir=work_dir)
        build = ["build", "--select", "+position_history", "--resource-type", "seed", "model"]
        dbt_runner.run(project, database, build, lambda *_: None)
        with database.connect() as connection:
            rows = connection.execute(
                "select imei, to_char(gps_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
                " from tracksolid.position_history"
            ).fetchall()
        held = set(rows)
        assert len(rows) == len(held)
        assert clients.acknowledged <= held
        assert held <= clients.sent
        assert len(held) > 100 + 20 * kills
    finally:
        receiver.kill()
        receiver.wait()
