"""Faulty or hostile senders: no 5xx except 503, no hang, no unbounded memory."""

import gzip
import json
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import json_cases
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from test_webhook import FORM, TOKEN, ReceiverProcess, answer_of, form
from waiting import TIMEOUT_S, eventually


@contextmanager
def running(folder: Path, patience_s: float) -> Iterator[ReceiverProcess]:
    process = ReceiverProcess(folder, WEBHOOK_TIMEOUT_SECONDS=patience_s)
    yield process
    assert process.stop() == 0
    assert "Traceback" not in process.log.read_text()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """It waits for a request as long as a busy machine may need to send it."""
    with running(tmp_path_factory.mktemp("webhook"), TIMEOUT_S) as process:
        yield process


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    with running(tmp_path_factory.mktemp("impatient"), 1) as process:
        yield process


@pytest.fixture(autouse=True)
def _still_serving(receiver: ReceiverProcess) -> Iterator[None]:
    """After every test, a correct push must be accepted at once."""
    receiver.take()
    yield
    assert (
        httpx.post(f"{receiver.url}/pushgps", content=form(), timeout=TIMEOUT_S).status_code == 200
    )


def memory_mb(receiver: ReceiverProcess) -> float:
    return psutil.Process(receiver.process.pid).memory_info().rss / 1024**2


def test_bodies_of_odd_and_broken_json_are_kept(receiver: ReceiverProcess) -> None:
    cases = list(json_cases.ALL.values())
    assert len(cases) > 100
    with httpx.Client(
        base_url=receiver.url, headers={"X-Token": TOKEN}, timeout=TIMEOUT_S
    ) as client:
        for body in cases:
            answer = client.post(
                "/pushobd", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 200
    # An empty body is a probe and not stored.
    assert [push.body for push in receiver.take()] == [body for body in cases if body]


BODIES = {
    "NUL escape": rb'[{"a\u0000":"\u0000"}]',
    "raw NUL": b'[{"a":"\x00"}]',
    "invalid UTF-8": b'[{"a":"\xff\xfe"}]',
    "lone surrogate": rb'[{"a":"\ud800"}]',
    "UTF-16": '[{"a":1}]'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf[{"a":1}]',
    "NaN": b"[NaN, Infinity, -Infinity, 1e400]",
    "long integers": b"[18446744073709551616, 1234567890123456789012345678901234567890]",
    "leading zero": b'[{"imei":012345678901234}]',
    "duplicate keys": b'[{"a":1,"a":2}]',
    "nesting 1,200": b"[" * 1_200 + b"]" * 1_200,
    "nesting 50,000": b'{"a":' * 50_000,
    "1 MB key": b'{"' + b"k" * 1_000_000 + b'":1}',
    "100,000 keys": json.dumps({str(n): n for n in range(100_000)}).encode(),
    "null": b"null",
    "empty list": b"[]",
    "empty text": b'""',
    "number": b"7",
    "space": b" ",
    "JSON in JSON": json.dumps({"data_list": json.dumps([json.dumps({"a": 1})])}).encode(),
    "plus and %00": b"data_list=+%00%2B+&x=%zz%",
    "truncated": b'[{"a":1},{"a"',
    "garbage behind": b'[{"a":1}] and more',
    "50,000 records": json.dumps([{"deviceImei": str(n)} for n in range(50_000)]).encode(),
    "SQL": b'[{"\'; drop table pushes; --":"\\""}]',
    "token without end": b'{"token":"' * 100_000,
    "multipart without end": b'name="token"\r\n' * 100_000,
    "names of parts, 15 MiB": (b"name=token" * 18 + b"\r\n") * 86_000,
    "keys, 15 MiB": b'"token":' * 1_960_000,
    "gzip without saying so": gzip.compress(b"0" * 10_000_000),
}


@pytest.mark.parametrize("content_type", [FORM, "application/json", "multipart/form-data", "\x7f"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_only_the_token_decides_whether_a_bad_body_is_kept(
    receiver: ReceiverProcess, body: bytes, content_type: str
) -> None:
    with httpx.Client(base_url=receiver.url, timeout=TIMEOUT_S) as client:
        headers = {"Content-Type": content_type} if content_type != "\x7f" else {}
        assert client.post("/pushgps", content=body, headers=headers).status_code == 401
        kept = client.post("/pushgps", content=body, headers=headers | {"X-Token": TOKEN})
    assert kept.status_code == 200
    assert [push.body for push in receiver.take()] == [body]


def test_body_without_length_is_cut_off_at_the_limit(receiver: ReceiverProcess) -> None:
    before_mb = memory_mb(receiver)
    pieces = (bytes(1024**2) for _ in range(100))
    answer = httpx.post(
        f"{receiver.url}/pushgps", content=pieces, headers={"X-Token": TOKEN}, timeout=TIMEOUT_S
    )
    assert answer.status_code == 413
    assert "16777216" in answer.json()["msg"]
    assert memory_mb(receiver) - before_mb < 60
    assert receiver.take() == []


def test_too_long_body_is_refused_unread(receiver: ReceiverProcess) -> None:
    head = b"POST /pushgps HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    assert receiver.exchange(head % (100 * 1024**2)).startswith(b"HTTP/1.1 413")
    just = httpx.post(
        f"{receiver.url}/pushgps",
        content=bytes(16 * 1024**2),
        headers={"X-Token": TOKEN},
        timeout=TIMEOUT_S,
    )
    assert just.status_code == 200


def test_compression_bomb_is_refused_unread(receiver: ReceiverProcess) -> None:
    bomb = gzip.compress(bytes(10 * 1024**2))
    answer = httpx.post(
        f"{receiver.url}/pushgps?token={TOKEN}",
        content=bomb,
        headers={"Content-Encoding": "gzip"},
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /pushgps HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 2**20, b"431"),
        (b"GET /pushgps HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 2**17, b"431"),
        (b"GET /" + b"a" * 2**20, b"431"),
        (b"GET /pushgps?" + b"a" * 2**20, b"431"),
        (
            b"POST /pushgps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\n" + b"X-A: a\r\n" * 2**17,
            b"431",
        ),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"POST /pushgps HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /pushgps HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", b"400"),
        (b"POST /pushgps HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", b"400"),
        (b"POST /pushgps HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (
            b"POST /pushgps HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
        ),
        (b"POST /pushgps HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
        (b"POST /pushgps HTTP/1.1\r\nX-A: \x00\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
    ],
    ids=range(14),
)
def test_bad_request_heads_are_refused(
    receiver: ReceiverProcess, head: bytes, status: bytes
) -> None:
    with receiver.connect() as connection:
        try:
            connection.sendall(head)
            answer = answer_of(connection)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""  # the connection was closed while sending
    assert answer == b"" or answer.split()[1] == status
    assert receiver.take() == []


def test_body_is_kept_up_to_its_announced_length(
    receiver: ReceiverProcess,
) -> None:
    """The bytes after the body are not a request; their refusal may arrive before the answer."""
    head = f"POST /pushgps?token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    answer = receiver.exchange(head.encode() + b"abcdef")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    kept = [push.body for push in receiver.take()]
    assert kept == [b"abc"] or (kept == [] and answer.startswith(b"HTTP/1.1 400"))


@pytest.mark.parametrize(
    "drips",
    [
        b"",
        b"GET /pushgps HTTP/1.1\r\nHost: x\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"\r\n" * 40,
        b"POST /pushgps HTTP/1.1\r\nContent-Length: 999\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + b"\r\n" * 40,
    ],
    ids=["nothing", "header", "blank lines", "body", "second request"],
)
def test_slow_sender_is_cut_off(impatient: ReceiverProcess, drips: bytes) -> None:
    step = max(1, len(drips) // 30)
    answer = b""

    def is_cut_off() -> bool:
        nonlocal drips, answer
        try:
            if drips:
                connection.sendall(drips[:step])
                drips = drips[step:] or drips[-1:]
            piece = connection.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            return True
        answer += piece
        return not piece

    with impatient.connect() as connection:
        connection.settimeout(0.1)
        eventually(is_cut_off, "the receiver to hang up")
    assert b"408" in answer
    assert impatient.take() == []


def test_idle_connections_do_not_block_others(receiver: ReceiverProcess) -> None:
    before_mb = memory_mb(receiver)
    with ExitStack() as stack:
        for _ in range(1_500):
            connection = stack.enter_context(receiver.connect())
            connection.sendall(b"POST /pushgps HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        answer = httpx.post(f"{receiver.url}/pushgps", content=form(), timeout=TIMEOUT_S)
        assert answer.status_code == 200
        assert memory_mb(receiver) - before_mb < 60


def test_many_long_bodies_do_not_fill_memory(receiver: ReceiverProcess) -> None:
    head = b"POST /pushgps HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (16 * 1024**2)

    def refused() -> list[socket.socket]:
        return select.select(senders, [], [], 0)[0]

    with ExitStack() as stack, ThreadPoolExecutor(16) as pool:
        senders = [stack.enter_context(receiver.connect()) for _ in range(16)]
        list(pool.map(lambda sender: sender.sendall(head + bytes(8 * 1024**2)), senders))
        # Ten halves are as much as it holds.
        eventually(lambda: len(refused()) >= 6, "six refusals", context=refused)
        answers = [answer_of(sender) for sender in refused()]
    assert {answer.split()[1] for answer in answers} == {b"503"}
    assert all(b"retry-after" in answer for answer in answers)


def test_pipelined_requests_are_answered_in_order(receiver: ReceiverProcess) -> None:
    head = f"POST /pushgps?token={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n".encode()
    with receiver.connect() as connection:
        connection.sendall(b"".join(head + b"%d" % n for n in range(10)))
        answers = b""
        while answers.count(b"success") < 10:
            answers += connection.recv(65536)
    assert answers.count(b"HTTP/1.1 200") == 10
    assert [push.body for push in receiver.take()] == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize("headers", [{"X-Token": TOKEN}, {}], ids=["token", "no token"])
def test_no_request_allowed_by_the_api_docs_is_a_server_error(
    receiver: ReceiverProcess, headers: dict[str, str]
) -> None:
    url = f"{receiver.url}/openapi.json"
    schema = schemathesis.openapi.from_url(url, headers={"X-Token": TOKEN})
    for found in schema.get_all_operations():

        @settings(max_examples=25, suppress_health_check=list(HealthCheck))
        @given(case=found.ok().as_strategy())
        def answers(case: schemathesis.Case) -> None:
            answer = case.call(headers=headers, timeout=TIMEOUT_S)
            assert answer.status_code < 500 or answer.status_code == 503

        answers()
