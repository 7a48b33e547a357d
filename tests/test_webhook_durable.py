"""Every acknowledged push is in the spool, whatever happens to receiver and disk.

WEBHOOK_KILLS sets how often the long form kills the receiver; `make bench` uses 50.
"""

import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_webhook import SUCCESS, TOKEN, ReceiverProcess, answer_of, form
from waiting import TIMEOUT_S, eventually

from webhook.spool_file import create, packed, unpacked
from webhook.spool_reader import SpoolReader
from webhook.uvicorn_server import TooFewFiles, connections_within

LONG = pytest.param(int(os.environ.get("WEBHOOK_KILLS", "8")), marks=pytest.mark.long)
CLIENTS = 16


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[ReceiverProcess]:
    running = ReceiverProcess(tmp_path)
    yield running
    if running.process.poll() is None:
        running.kill()


def post(receiver: ReceiverProcess, body: bytes, seconds: float = TIMEOUT_S) -> httpx.Response:
    return httpx.post(
        f"{receiver.url}/pushgps", content=body, headers={"X-Token": TOKEN}, timeout=seconds
    )


class SenderThread(threading.Thread):
    """Sends unique records until `stop` is set, over connections that may break."""

    def __init__(self, receiver: ReceiverProcess, number: int, stop: threading.Event) -> None:
        super().__init__()
        self._receiver, self._number, self._stop_ = receiver, number, stop
        self.sent: set[bytes] = set()
        self.acknowledged: set[bytes] = set()

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._receiver.port, timeout=TIMEOUT_S)
        count = 0
        while not self._stop_.is_set():
            count += 1
            body = form(f'[{{"deviceImei":"{self._number}-{count}"}}]')
            self.sent.add(body)
            try:
                connection.request("POST", "/pushgps", body)
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException):
                connection.close()
                time.sleep(0.01)
                continue
            if answer.status == 200:
                self.acknowledged.add(body)


@pytest.mark.parametrize("kills", [2, LONG])
def test_acknowledged_pushes_survive_every_kill(receiver: ReceiverProcess, kills: int) -> None:
    stop = threading.Event()
    senders = [SenderThread(receiver, number, stop) for number in range(CLIENTS)]
    kept: list[bytes] = []
    for sender in senders:
        sender.start()
    try:
        for _ in range(kills):
            time.sleep(random.uniform(0.05, 0.6))
            receiver.kill()
            if random.random() < 0.5:  # the drain also reads while the receiver is down
                kept += [push.body for push in receiver.take()]
            receiver.start()
        eventually(
            lambda: sum(len(sender.acknowledged) for sender in senders) > 50 * kills,
            f"more than {50 * kills} acknowledged pushes",
        )
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    assert receiver.stop() == 0
    kept += [push.body for push in receiver.take()]
    acknowledged = set[bytes]().union(*(sender.acknowledged for sender in senders))
    sent = set[bytes]().union(*(sender.sent for sender in senders))
    assert len(acknowledged) > 50 * kills
    assert acknowledged <= set(kept) <= sent
    assert len(kept) == len(set(kept))


def test_drain_reads_rows_while_others_are_written(receiver: ReceiverProcess) -> None:
    stop = threading.Event()
    senders = [SenderThread(receiver, number, stop) for number in range(CLIENTS)]
    reader, ids, kept = SpoolReader(receiver.spool), [], []
    for sender in senders:
        sender.start()

    def drain() -> bool:
        pushes = reader.batch(50, 10_000)
        reader.forget(push.id for push in pushes)
        ids.extend(push.id for push in pushes)
        kept.extend(push.body for push in pushes)
        return len(ids) >= 1_000

    eventually(drain, "1,000 pushes", every_s=0)
    stop.set()
    for sender in senders:
        sender.join()
    kept += [push.body for push in receiver.take()]
    assert ids == sorted(set(ids))
    assert sorted(kept) == sorted(b for sender in senders for b in sender.acknowledged)


def test_requests_in_flight_are_answered_before_shutdown(receiver: ReceiverProcess) -> None:
    body = form()
    head = b"POST /pushgps HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with receiver.connect() as slow, receiver.connect() as idle:
        slow.sendall(head + body[:10])
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"alive" in answer_of(idle)
        receiver.process.send_signal(signal.SIGTERM)
        eventually(lambda: not receiver.listens(), "a closed port")
        slow.sendall(body[10:])
        answer = answer_of(slow)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert receiver.process.wait(TIMEOUT_S) == 0
    assert [push.body for push in receiver.take()] == [body]
    assert not receiver.spool.with_name("spool.sqlite-wal").exists()


def test_stalled_sender_does_not_delay_shutdown(tmp_path: Path) -> None:
    """It has an hour to send its push, but not while the receiver stops."""
    running = ReceiverProcess(tmp_path, WEBHOOK_TIMEOUT_SECONDS=3600)
    with running.connect() as stalled:
        stalled.sendall(b"POST /pushgps HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx")
        post(running, b"later")  # answered after the receiver has read the first
        assert running.stop() == 0
        assert answer_of(stalled).startswith(b"HTTP/1.1 408")


def test_overload_is_answered_at_once_and_recovers(receiver: ReceiverProcess) -> None:
    large = b"x" * (15 * 1024**2)
    with sqlite3.connect(receiver.spool, isolation_level=None) as lock:
        lock.execute("begin immediate")  # blocks writes, like a stalled disk
        with ThreadPoolExecutor(6) as pool:
            large_ones = [pool.submit(post, receiver, large) for _ in range(6)]
            eventually(lambda: sum(one.done() for one in large_ones) >= 2, "two refusals")
            lock.execute("rollback")
        answers = [one.result() for one in large_ones]
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 200, 200, 200, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert int(refused.headers["Retry-After"]) > 0
    assert "too much is waiting" in refused.json()["msg"]
    assert post(receiver, b"small").status_code == 200
    assert [len(push.body) for push in receiver.take()] == [len(large)] * 4 + [5]


def test_locked_spool_is_never_acknowledged(receiver: ReceiverProcess) -> None:
    with sqlite3.connect(receiver.spool, isolation_level=None) as lock:
        lock.execute("begin immediate")
        answer = post(receiver, b"x")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert httpx.get(f"{receiver.url}/ready", timeout=TIMEOUT_S).status_code == 503
        lock.execute("rollback")
    assert post(receiver, b"y").status_code == 200
    assert [push.body for push in receiver.take()] == [b"y"]


def fill(receiver: ReceiverProcess) -> tuple[set[bytes], httpx.Response]:
    """Push until one is refused; returns the acknowledged pushes and the refusal."""
    acknowledged = set()
    with httpx.Client(timeout=TIMEOUT_S) as client:
        for number in range(10_000):
            body = b"%d:" % number + os.urandom(100_000)
            answer = client.post(
                f"{receiver.url}/pushgps", content=body, headers={"X-Token": TOKEN}
            )
            if answer.status_code != 200:
                return acknowledged, answer
            acknowledged.add(body)
    raise AssertionError("the disk did not fill up")


def assert_full_disk_heals(receiver: ReceiverProcess, acknowledged: set[bytes]) -> None:
    eventually(lambda: post(receiver, b"after").status_code == 200, "a push to be kept")
    assert httpx.get(f"{receiver.url}/ready", timeout=TIMEOUT_S).status_code == 200
    assert acknowledged <= {push.body for push in receiver.take()}
    assert "pushes are kept again" in receiver.log.read_text()


def test_full_disk_gives_503_and_recovers(tmp_path: Path) -> None:
    running = ReceiverProcess(tmp_path)
    try:
        size = 4 * 1024**2  # the largest file that the process may write
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        acknowledged, refusal = fill(running)
        assert (refusal.status_code, refusal.json()["code"]) == (503, 503)
        assert acknowledged
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, unlimited)
        assert_full_disk_heals(running, acknowledged)
    finally:
        assert running.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_drain_can_delete_while_the_disk_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "made"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    running = ReceiverProcess(tmp_path, SPOOL_MIN_FREE_BYTES=16 * 1024**2)
    try:
        acknowledged, refusal = fill(running)
        assert refusal.status_code == 503
        assert httpx.get(f"{running.url}/ready", timeout=TIMEOUT_S).status_code == 503
        # The reserved space lets the drain delete rows, and that alone frees the disk.
        assert acknowledged == {push.body for push in running.take()}
        assert_full_disk_heals(running, set())
    finally:
        running.kill()
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_readiness_reports_old_pushes(tmp_path: Path) -> None:
    running = ReceiverProcess(tmp_path, SPOOL_MAX_AGE_SECONDS=0.1)
    try:
        assert post(running, b"x").status_code == 200
        answer = eventually(
            lambda: (
                (got := httpx.get(f"{running.url}/ready", timeout=TIMEOUT_S)).status_code == 503
                and got
            ),
            "a push that is too old",
        )
        (age,) = answer.json()["problems"]
        assert "has waited" in age
    finally:
        running.stop()


def test_low_disk_space_is_reported_and_pushes_are_not_acknowledged(tmp_path: Path) -> None:
    running = ReceiverProcess(tmp_path, SPOOL_MIN_FREE_BYTES=10**18)
    try:
        assert post(running, b"x").status_code == 503
        answer = httpx.get(f"{running.url}/ready", timeout=TIMEOUT_S)
        assert answer.status_code == 503
        assert "bytes are free" in str(answer.json()["problems"])
    finally:
        running.stop()


def test_receiver_starts_without_its_spool_and_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("a file where the folder should be")
    running = ReceiverProcess(tmp_path)
    try:
        assert post(running, b"x").status_code == 503
        assert httpx.get(f"{running.url}/ready", timeout=TIMEOUT_S).status_code == 503
        assert httpx.get(f"{running.url}/metrics", timeout=TIMEOUT_S).status_code == 503
        (tmp_path / "made").unlink()
        assert post(running, b"y").status_code == 200
        assert [push.body for push in running.take()] == [b"y"]
    finally:
        assert running.stop() == 0


def test_hundred_concurrent_copies_of_one_push_are_kept(receiver: ReceiverProcess) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: post(receiver, b"same").json(), range(100)))
    assert answers == [SUCCESS] * 100
    pushes = receiver.take()
    assert [push.body for push in pushes] == [b"same"] * 100
    assert len({push.receipt for push in pushes}) == 100


def test_disconnected_sender_does_not_affect_others(receiver: ReceiverProcess) -> None:
    body = form()
    head = b"POST /pushgps HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    for sent in (head, head + body[:5], head + body):
        with receiver.connect() as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1] + [0] * 7))
    assert post(receiver, b"next").status_code == 200
    eventually(
        lambda: {push.body for push in SpoolReader(receiver.spool).batch(9, 999)} >= {b"next"},
        "the next push in the spool",
    )
    assert {push.body for push in receiver.take()} <= {b"next", body}
    assert "Traceback" not in receiver.log.read_text()


@pytest.mark.parametrize("open_files", [128, 200, 256])
def test_few_open_files_leave_room_for_pushes(tmp_path: Path, open_files: int) -> None:
    """More senders at once than there are files: some wait or get 503, none harms the others."""
    running = ReceiverProcess(tmp_path, open_files=open_files)
    try:
        assert post(running, b"x").status_code == 200
        served = psutil.Process(running.process.pid)
        eventually(lambda: len(served.net_connections()) == 1, "the listening socket alone")
        with ExitStack() as idle:
            for _ in range(connections_within(open_files)):
                idle.enter_context(running.connect())
            assert post(running, b"y").status_code == 503
        eventually(lambda: post(running, b"z").status_code == 200, "a push to be kept again")
        assert httpx.get(f"{running.url}/ready", timeout=TIMEOUT_S).status_code == 200
        assert [push.body for push in running.take()] == [b"x", b"z"]
    finally:
        assert running.stop() == 0


def test_connections_never_use_up_the_files_of_the_process() -> None:
    for most_files in (128, 199, 200, 201, 1_024, 65_536, 1_048_576):
        allowed = connections_within(most_files)
        assert 0 < allowed <= most_files - 32
    assert connections_within(resource.RLIM_INFINITY) > 0
    with pytest.raises(TooFewFiles, match="may open 127 files, and needs 128"):
        connections_within(127)


def test_second_receiver_on_the_same_spool_waits_for_the_first(tmp_path: Path) -> None:
    first = ReceiverProcess(tmp_path)
    second = ReceiverProcess(tmp_path)
    try:
        refused = post(second, b"x")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        ready = httpx.get(f"{second.url}/ready", timeout=TIMEOUT_S)
        assert ready.status_code == 503
        assert "another receiver uses" in str(ready.json()["problems"])
        assert post(first, b"y").status_code == 200
        first.kill()
        assert httpx.get(f"{second.url}/ready", timeout=TIMEOUT_S).status_code == 200
        assert post(second, b"z").status_code == 200
        assert [push.body for push in second.take()] == [b"y", b"z"]
    finally:
        first.kill()
        assert second.stop() == 0


@given(st.lists(st.binary(min_size=1), min_size=1))
def test_spool_returns_bodies_unchanged(bodies: list[bytes]) -> None:
    """Also bodies that are zstd frames, and rows of an older, uncompressed spool."""
    frames = [bytes(frame) for frame in packed(bodies)]
    assert [unpacked(frame) for frame in frames] == bodies
    assert [unpacked(bytes(frame)) for frame in packed(frames)] == frames
    assert unpacked(b"token=x&data_list=[]") == b"token=x&data_list=[]"


def test_spool_compresses_pushes(receiver: ReceiverProcess) -> None:
    items = [{"deviceImei": f"{n:015}", "gpsTime": "2026-03-02 09:30:05"} for n in range(20_000)]
    body = form(json.dumps(items))
    assert post(receiver, body).status_code == 200
    (kept,) = SpoolReader(receiver.spool).batch(1, 10**9)
    assert kept.body == body
    assert receiver.stop() == 0
    assert receiver.spool.stat().st_size < len(body) / 4


def test_spool_reader_respects_limits_and_shrinks_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    reader = SpoolReader(path)
    assert (reader.newest(), reader.batch(10, 10)) == (0, [])
    assert not path.exists()
    instant = datetime(2026, 3, 2, 9, 30, 5, 42, tzinfo=UTC)
    connection = create(path)
    connection.executemany(
        "insert into pushes (receipt, path, content_type, received_at, body) values (?,?,?,?,?)",
        [
            (f"r{n}", "/pushgps", "", (instant + timedelta(seconds=n)).isoformat(), bytes(100_000))
            for n in range(1_500)
        ],
    )
    connection.close()
    full = path.stat().st_size
    assert reader.newest() == 1_500
    assert [push.id for push in reader.batch(3, 10**9)] == [1, 2, 3]
    assert [push.id for push in reader.batch(10, 250_000)] == [1, 2]
    (first,) = reader.batch(10, 1)
    assert (first.receipt, first.received_at, first.body) == ("r0", instant, bytes(100_000))
    reader.forget([2])
    assert [push.id for push in reader.batch(2, 10**9)] == [1, 3]
    reader.forget(range(1, 1_500))
    assert [push.id for push in reader.batch(10, 10**9)] == [1_500]
    assert path.stat().st_size < full / 2
