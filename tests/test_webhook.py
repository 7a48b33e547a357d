"""The webhook receiver as a process: HTTP over real sockets, and the pushes in its spool."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import TIMEOUT_S, eventually

from settings import ROOT
from webhook.push_paths import PUSHES, TAG
from webhook.spool_reader import Push, SpoolReader

TOKEN = "the-token-of-the-tests"
FORM = "application/x-www-form-urlencoded"
SUCCESS = {"code": 0, "msg": "success"}


class ReceiverProcess:
    """`python -m webhook` as a process with a spool of its own."""

    def __init__(self, folder: Path, *, open_files: int = 0, **environment: object) -> None:
        self._limits = ["prlimit", f"--nofile={open_files}"] if open_files else []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.spool = folder / "made" / "spool.sqlite"
        self.log = folder / "log"
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WEBHOOK_", "SPOOL_"))
        }
        self._environment |= {
            "WEBHOOK_TOKEN": TOKEN,
            "WEBHOOK_PORT": str(self.port),
            "SPOOL_PATH": str(self.spool),
            "SPOOL_MIN_FREE_BYTES": "0",
        }
        self._environment |= {name: str(value) for name, value in environment.items()}
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._limits, sys.executable, "-m", "webhook"],
                cwd=ROOT,
                env=self._environment,
                stderr=log,
            )
        eventually(self.listens, f"port {self.port} to listen", context=self.log.read_text)

    def listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def exchange(self, sent: bytes) -> bytes:
        """Send raw bytes; returns the answer, or what came before the connection closed."""
        with self.connect() as connection:
            connection.sendall(sent)
            return answer_of(connection)

    def take(self) -> list[Push]:
        """The pushes kept since the last call; deletes them from the spool."""
        reader = SpoolReader(self.spool)
        pushes = reader.batch(100_000, 10**9)
        reader.forget([push.id for push in pushes])
        return pushes


def answer_of(connection: socket.socket) -> bytes:
    """One complete HTTP answer, or less if the receiver closes the connection before."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while not is_whole(answer) and (piece := connection.recv(65536)):
            answer += piece
    return answer


def is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(found) and length is not None and len(body) >= int(length[1])


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    running = ReceiverProcess(
        tmp_path_factory.mktemp("webhook"), WEBHOOK_TOKEN=f"next-token, {TOKEN}"
    )
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def http(receiver: ReceiverProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=receiver.url, timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_spool(receiver: ReceiverProcess) -> None:
    receiver.take()


def form(data_list: str = '[{"deviceImei":"1"}]', token: str = TOKEN) -> bytes:
    return urlencode({"token": token, "data_list": data_list}).encode()


@pytest.mark.parametrize("path", PUSHES)
def test_every_path_stores_pushes_in_any_letter_case(receiver, http, path: str) -> None:
    odd = "".join(c.upper() if n % 2 else c for n, c in enumerate(path))
    for spelled in (path, path.upper(), odd, f"{path}/"):
        answer = http.post(f"/{spelled}", content=form(), headers={"Content-Type": FORM})
        assert (answer.status_code, answer.json()) == (
            200,
            {"code": 200 if path == TAG else 0, "msg": "success"},
        )
    assert [(push.path, push.content_type, push.body) for push in receiver.take()] == [
        (f"/{path}", FORM, form())
    ] * 4


@pytest.mark.parametrize(
    ("path", "content_type", "body", "code"),
    [
        ("/push", FORM, urlencode({"msgType": "jimi.push.device.alarm", "data": "{}"}), 0),
        ("/pushInstructResponse", FORM, urlencode({"msgType": "1", "data_list": "[{}]"}), 0),
        ("/pushgps", FORM, urlencode({"data_list": '[{"deviceImei":"1","lat":-1.29}]'}), 0),
        (f"/{TAG}", "application/json", '[{"imei":"1","gpsTime":1772443805000}]', 200),
        (f"/{TAG}", "application/json", "[]", 200),
    ],
)
def test_each_shape_of_the_vendor_is_kept(
    receiver, http, path: str, content_type: str, body: str, code: int
) -> None:
    """With the token in the query, as a platform sends it that cannot set a field."""
    answer = http.post(
        path, params={"token": TOKEN}, content=body, headers={"Content-Type": content_type}
    )
    assert answer.json()["code"] == code
    assert [(push.path, push.body) for push in receiver.take()] == [(path.lower(), body.encode())]


@pytest.mark.parametrize(
    "request_",
    [
        {"content": form(), "headers": {"Content-Type": FORM}},
        {"content": b"data_list=%5B%5D&token=" + TOKEN.encode()},
        {"content": form(), "headers": {"Content-Type": "application/json"}},
        {"json": {"data_list": [{"a": 1, "token": "of the record"}], "token": TOKEN}},
        {"json": {"token": TOKEN, "data": {}}},
        {"content": b'{"token" : "%s", "data_list": [{"broken' % TOKEN.encode()},
        {"content": rb'{"token":"the-token-of-the\u002dtests","deep":%s}' % (b"[" * 50_000)},
        {"data": {"token": TOKEN}, "files": {"data_list": b'[{"a":"\x00\xff"}]'}},
        {"content": b"[1]", "params": {"token": TOKEN}},
        {"content": b"[1]", "headers": {"X-Token": TOKEN}},
        {"content": b"\x00\xff", "headers": {"Authorization": f"bearer {TOKEN}"}},
        {"content": b"[1]", "headers": {"X-Token": "next-token"}},
        {"content": form(token="next-token")},
        {"content": form(), "headers": {"X-Token": "wrong"}},
    ],
    ids="-".join,
)
def test_token_is_found_in_every_known_place(receiver, http, request_: dict) -> None:
    built = http.build_request("POST", "/pushgps", **request_)
    sent = built.read()
    answer = http.send(built)
    assert (answer.status_code, answer.json()) == (200, SUCCESS)
    (push,) = receiver.take()
    assert (push.body, push.content_type) == (sent, built.headers.get("content-type", ""))


@pytest.mark.parametrize(
    "request_",
    [
        {"content": b"data_list=[]"},
        {"content": form(token="old-token")},
        {"content": form(token=TOKEN[:-1])},
        {"content": form(token=f"next-token, {TOKEN}")},
        {"content": f"data_list=%26token={TOKEN}".encode()},
        {"json": {"token": None}},
        {"json": {"token": [TOKEN]}},
        {"json": [TOKEN]},
        {"content": b"[]", "params": {"Token": TOKEN}},
        {"content": b"[]", "headers": {"Authorization": f"Basic {TOKEN}"}},
        {"content": "[]", "params": {"token": "\u00e9\x00"}},
        {"content": ("\ufeff" + json.dumps({"token": TOKEN})).encode("utf-16")},
    ],
    ids=str,
)
def test_push_without_a_valid_token_is_not_kept(receiver, http, request_: dict) -> None:
    answer = http.post("/pushgps", **request_)
    assert answer.status_code == 401
    assert "no valid token" in answer.json()["msg"]
    assert receiver.take() == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["/pushGPS", "/push", f"/{TAG}"])
def test_probes_are_answered_and_store_nothing(receiver, http, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 200
    assert answer.content == b"" if method == "HEAD" else answer.json()["msg"] == "success"
    assert receiver.take() == []


def test_unknown_paths_and_methods_are_refused(receiver, http) -> None:
    for path in ("/", "/pushgpsx", "/xpushgps", "/pushgps/x", "/api/v1/tag", "/%00", "/push%0agps"):
        answer = http.post(path, content=form())
        assert (answer.status_code, answer.json()["code"]) == (404, 404)
        assert "/pushgps" in answer.json()["msg"]
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = http.request(method, "/pushGPS", content=form())
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert receiver.take() == []


def test_encoded_bodies_are_refused(receiver, http) -> None:
    for encoding in ("gzip", "zstd", "br", "deflate", "identity, gzip", "GZIP"):
        answer = http.post("/pushgps", content=form(), headers={"Content-Encoding": encoding})
        assert answer.status_code == 415
    assert receiver.take() == []
    plain = http.post("/pushgps", content=form(), headers={"Content-Encoding": "Identity"})
    assert plain.status_code == 200


CONTENT_TYPES = st.sampled_from(
    [FORM, "application/json", "text/plain; charset=utf-16", "multipart/form-data; boundary=x", ""]
) | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=3000), CONTENT_TYPES, st.integers(1, 400), st.booleans())
def test_accepted_pushes_are_kept_byte_for_byte(
    receiver, http, body: bytes, content_type: str, piece: int, chunked: bool
) -> None:
    pieces = (body[at : at + piece] for at in range(0, len(body), piece))
    answer = http.post(
        "/pushevent",
        content=pieces if chunked else body,
        headers={"X-Token": TOKEN} | ({"Content-Type": content_type} if content_type else {}),
    )
    assert answer.status_code == 200
    assert [(p.body, p.content_type) for p in receiver.take()] == [(body, content_type)]


def test_readiness_health_and_metrics(receiver, http) -> None:
    assert http.post("/pushhb", content=form()).status_code == 200
    assert http.get("/health").json() == {"status": "alive"}
    assert http.get("/ready").json() == {"problems": []}
    figures = http.get("/metrics").text
    assert 'webhook_requests_total{path="pushhb",status="200"}' in figures
    assert "webhook_spool_rows 1.0" in figures
    assert "webhook_commit_seconds_bucket" in figures
    outside = {"X-Forwarded-For": "203.0.113.7"}
    assert http.get("/metrics", headers=outside).status_code == 401
    assert http.get("/metrics", headers={"X-Forwarded-For": "nonsense"}).status_code == 401
    assert http.get("/metrics", headers=outside | {"X-Token": TOKEN}).status_code == 200


def test_api_docs_need_the_token(http) -> None:
    for path in ("/docs", "/openapi.json"):
        assert http.get(path).status_code == 401
        assert http.get(path, params={"token": "wrong"}).status_code == 401
        assert http.get(path, params={"token": TOKEN}).status_code == 200
    assert http.get("/redoc").status_code == 404
    assert set(PUSHES) == set(
        http.get("/openapi.json", headers={"X-Token": TOKEN}).json()["paths"]["/{push}"]["post"][
            "parameters"
        ][0]["schema"]["enum"]
    )


def test_networks_not_on_the_allow_list_are_refused(tmp_path: Path) -> None:
    running = ReceiverProcess(tmp_path, WEBHOOK_ALLOWED_NETWORKS="10.0.0.0/8, 2001:db8::/32")
    try:
        here: dict = {"content": form(), "timeout": TIMEOUT_S}
        assert httpx.post(f"{running.url}/pushgps", **here).status_code == 403
        assert httpx.get(f"{running.url}/pushgps", timeout=TIMEOUT_S).status_code == 403
        assert httpx.get(f"{running.url}/health", timeout=TIMEOUT_S).status_code == 200
        for address, status in (("10.1.2.3", 200), ("2001:db8::7", 200), ("11.1.2.3", 403)):
            by = {"X-Forwarded-For": address}  # as a proxy on this machine sends it
            assert httpx.post(f"{running.url}/pushgps", **here, headers=by).status_code == status
        assert len(running.take()) == 2
    finally:
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "WEBHOOK_TOKEN"),
        ({"WEBHOOK_TOKEN": ""}, "WEBHOOK_TOKEN"),
        ({"WEBHOOK_TOKEN": " , "}, "WEBHOOK_TOKEN"),
        ({"WEBHOOK_TOKEN": TOKEN, "WEBHOOK_ALLOWED_NETWORKS": "here"}, "WEBHOOK_ALLOWED_NETWORKS"),
    ],
)
def test_receiver_does_not_start_with_wrong_settings(
    tmp_path: Path, environment: dict[str, str], text: str
) -> None:
    program = "from webhook.receiver_settings import ReceiverSettings as R;"
    program += "from webhook.__main__ import main;"
    program += "R.model_config['env_file'] = None; main()"  # ignore a developer's .env
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SPOOL_PATH": str(tmp_path / "spool")} | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ended.returncode == 2
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert TOKEN not in ended.stderr


def test_neither_token_nor_payload_is_logged(receiver, http) -> None:
    http.post(f"/pushgps?token={TOKEN}", content=b"a-very-private-payload")
    http.post("/pushgps?token=almost-the-token", content=b"a-very-private-payload")
    http.post(f"/nothing/{TOKEN}", content=b"a-very-private-payload")
    receiver.exchange(b"NONSENSE %s\r\n\r\n" % TOKEN.encode())
    logged = receiver.log.read_text()
    assert '"event": "receiving"' in logged
    assert not any(secret in logged for secret in (TOKEN, "almost-the-token", "private-payload"))


def test_spool_file_is_private_to_its_owner(receiver, http) -> None:
    http.post("/pushgps", content=form())
    modes = {file.name: oct(file.stat().st_mode)[-3:] for file in receiver.spool.parent.iterdir()}
    assert modes.keys() >= {"spool.sqlite", "spool.sqlite-wal"}
    assert set(modes.values()) == {"600"}
