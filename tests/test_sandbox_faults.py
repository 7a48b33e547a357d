"""The faults of the sandbox, as a client sees them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import pytest
import requests
from sandbox_client import ALARMS, MILEAGE, PARKING, TRACK, SandboxClient, at, valid_parameters
from waiting import TIMEOUT_S

from sandbox import Fault, Sent
from sandbox.faults import POISON
from sandbox.instants import DAY, HOUR

SWEEP = "jimi.user.device.location.list"


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.RATE_LIMITED, 1006), (Fault.SYSTEM_BUSY, -1), (Fault.TOKEN_EXPIRED, 1004)],
)
def test_code_faults(client: SandboxClient, fault: Fault, code: int) -> None:
    ask = valid_parameters(client, "target")
    client.sandbox.misbehave("*", fault, after=1)
    codes = [client.call("jimi.user.device.list", **ask)["code"] for _ in range(3)]
    really_revoked = fault is Fault.TOKEN_EXPIRED
    assert codes == [0, code, 1004 if really_revoked else 0]


def test_faults_that_replace_the_reply(client: SandboxClient) -> None:
    ask = valid_parameters(client, "target")
    method = "jimi.user.device.list"
    client.sandbox.misbehave(method, Fault.HTTP_500)
    assert client.post(method, **ask).status_code == 500
    client.sandbox.misbehave(method, Fault.HTML_PAGE)
    page = client.post(method, **ask)
    assert (page.status_code, page.text[:9]) == (200, "<!DOCTYPE")
    client.sandbox.misbehave(method, Fault.NOT_JSON)
    truncated = client.post(method, **ask)
    assert len(truncated.content) == int(truncated.headers["Content-Length"])
    with pytest.raises(requests.JSONDecodeError):
        truncated.json()
    client.sandbox.misbehave(method, Fault.CUT_OFF)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.post(method, **ask)
    assert client.call(method, **ask)["code"] == 0


def test_a_reset_fault_resets_the_connection(client: SandboxClient) -> None:
    client.sandbox.misbehave("*", Fault.RESET)
    host, port = client.sandbox.url.removeprefix("http://").split("/")[0].split(":")
    body = b"method=jimi.user.child.list"
    request = b"POST /route/rest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(request + body)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_stall_answers_late(client: SandboxClient) -> None:
    client.sandbox.misbehave("jimi.user.child.list", "stall", seconds=0.3)
    started = time.monotonic()
    assert client.call("jimi.user.child.list", **valid_parameters(client, "target"))["code"] == 0
    assert time.monotonic() - started >= 0.3


def test_rate_hits_about_that_share_and_spares_the_login(client: SandboxClient) -> None:
    client.sandbox.misbehave("*", Fault.SYSTEM_BUSY, rate=0.3)
    ask = valid_parameters(client, "target")
    codes = [client.call("jimi.user.child.list", **ask)["code"] for _ in range(100)]
    assert 15 < codes.count(-1) < 45
    assert all(client.log_in()["code"] == 0 for _ in range(5))


def test_paging_and_order_faults(client: SandboxClient) -> None:
    ask = valid_parameters(client, "imeis begin") | {"page_size": 10}
    first = client.call(MILEAGE, **ask, start_row=0)["result"]
    second = client.call(MILEAGE, **ask, start_row=10)["result"]
    client.sandbox.misbehave(MILEAGE, Fault.REPEATED_PAGE)
    assert client.call(MILEAGE, **ask, start_row=10)["result"] == first != second
    client.sandbox.misbehave(MILEAGE, Fault.SHUFFLED)
    shuffled = client.call(MILEAGE, **ask, start_row=10)["result"]
    assert shuffled != second
    assert sorted(map(str, shuffled)) == sorted(map(str, second))


def test_short_page_and_foreign_device(client: SandboxClient) -> None:
    ask = valid_parameters(client, "imeis begin")
    full = client.call(MILEAGE, **ask)["result"]
    assert len(full) > 50
    client.sandbox.misbehave(MILEAGE, Fault.SHORT_PAGE)
    assert client.call(MILEAGE, **ask)["result"] == full[:50]
    client.sandbox.misbehave(MILEAGE, Fault.FOREIGN_DEVICE, rate=1.0)
    first, *others = ask["imeis"].split(",")
    assert first == min(client.sandbox.world.devices)
    assert client.call(MILEAGE, **ask)["code"] == 1002
    assert client.call(MILEAGE, **ask | {"imeis": ",".join(others)})["code"] == 0


@pytest.mark.parametrize(
    ("fault", "method", "params", "mark"),
    [
        (Fault.ESCAPED, "jimi.user.child.list", "target", b'"account":"\\u0073andbox'),
        (Fault.NULL_IMEI, "jimi.user.device.list", "target", b'"imei":null,"deviceImei":"'),
        (Fault.NUMERIC_ID, "jimi.open.platform.fence.list", "account", b'"fence_id":1,'),
        (Fault.UNKNOWN_SPEED, "jimi.user.device.location.list", "target", b'"speed":"255"'),
    ],
)
def test_oddities_change_all_records_and_keep_them_valid(
    client: SandboxClient, fault: Fault, method: str, params: str, mark: bytes
) -> None:
    ask = valid_parameters(client, params)
    client.sandbox.misbehave(method, fault)
    assert mark in client.post(method, **ask).content
    assert client.call(method, **ask)["code"] == 0


def spans(rows: list[dict]) -> dict[str, list[tuple[str, str]]]:
    """(start, end) of each row of each device, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in sorted(rows, key=lambda row: row["startTime"]):
        found.setdefault(row["imei"], []).append((row["startTime"], row["endTime"]))
    return found


@pytest.mark.parametrize(
    ("method", "params", "place"),
    [
        (MILEAGE, "imeis begin", "result"),
        (PARKING, "account imeis start rows acc", "data.rows"),
    ],
)
def test_trips_and_stops_are_reported_again_with_other_borders(
    client: SandboxClient, method: str, params: str, place: str
) -> None:
    ask = valid_parameters(client, params)
    ask["imeis"] = ",".join(str(ask["imeis"]).split(",")[:3])

    def reported(fault: Fault | None) -> list[dict]:
        if fault:
            client.sandbox.misbehave(method, fault)
        return at(client.call(method, **ask), place)

    true = reported(None)
    moved, merged, split = (
        spans(reported(fault)) for fault in (Fault.MOVED_START, Fault.MERGED, Fault.SPLIT)
    )
    for imei, borders in spans(true).items():
        assert [end for _, end in moved[imei]] == [end for _, end in borders]
        assert all(
            later > start for (later, _), (start, _) in zip(moved[imei], borders, strict=True)
        )
        pairs = [borders[n : n + 2] for n in range(0, len(borders), 2)]
        assert merged[imei] == [(pair[0][0], pair[-1][1]) for pair in pairs]
        assert len(borders) < len(split[imei]) <= 2 * len(borders)
        assert (split[imei][0][0], split[imei][-1][1]) == (borders[0][0], borders[-1][1])
    measures = {"distance", "runTimeSecond", "elapsed", "durSecond"}
    for row in reported(Fault.UNKNOWN_MEASURES):
        assert {row[name] for name in measures & row.keys()} == {None}
    assert reported(None) == true


MARKS = {
    Fault.NUL_ESCAPE: b"\\u0000",
    Fault.RAW_NUL: b"\x00",
    Fault.BAD_UTF8: b"\xff\xfe",
    Fault.LONE_SURROGATE: b"\\ud800",
    Fault.NAN: b":NaN",
    Fault.BIG_INTEGER: b"1234567890" * 4,
    Fault.DEEP: b"[" * 1200,
    Fault.NEW_FIELD: b"sandboxNew",
}


@pytest.mark.parametrize("fault", sorted(POISON))
@pytest.mark.parametrize(
    ("method", "params"),
    [
        (TRACK, "imei begin"),
        (MILEAGE, "imeis begin"),
        (ALARMS, "imeis begin"),
        (PARKING, "account imeis start rows acc"),
        ("jimi.user.device.location.list", "target"),
        ("jimi.user.device.list", "target"),
    ],
)
def test_poison_spoils_one_record_and_no_other(
    client: SandboxClient, fault: Fault, method: str, params: str
) -> None:
    ask = valid_parameters(client, params)
    good = client.post(method, **ask).content
    kept: list[Sent] = []
    client.sandbox.sent = kept.append
    client.sandbox.misbehave(method, fault)
    bad = client.post(method, **ask).content
    assert (kept[-1].body, kept[-1].fault) == (bad, fault)
    assert bad != good
    assert MARKS.get(fault, b"") in bad
    same = shared(good, bad) + shared(good[::-1], bad[::-1])
    longest = max(len(record) for record in good.split(b"},{"))
    assert same > len(good) - longest
    if fault is Fault.MISSING_FIELD:
        assert good.count(b'":') - bad.count(b'":') == 1
    if fault is Fault.DUPLICATE_KEY:
        assert bad.count(b'":') - good.count(b'":') == 1
    assert client.post(method, **ask).content == good


@pytest.mark.parametrize(
    ("method", "fault", "field", "difference"),
    [
        (SWEEP, Fault.CLOCK_AHEAD, "gpsTime", 3 * HOUR),
        (TRACK, Fault.WEEK_ROLLOVER, "gpsTime", -1024 * 7 * DAY),
        (MILEAGE, Fault.CLOCK_AHEAD, "endTime", 3 * HOUR),
        (PARKING, Fault.CLOCK_AHEAD, "startTime", 3 * HOUR),
        (ALARMS, Fault.WEEK_ROLLOVER, "alertTime", -1024 * 7 * DAY),
        (TRACK, Fault.CELL_TOWER, "lat", 0.045),
        (SWEEP, Fault.FAR_AWAY, "lat", 54),
    ],
)
def test_one_record_has_a_wrong_time_or_place(
    client: SandboxClient, method: str, fault: Fault, field: str, difference: float
) -> None:
    def value(found: object) -> float:
        if isinstance(found, float):
            return found
        return datetime.fromisoformat(str(found)[:19]).replace(tzinfo=UTC).timestamp()

    good = [value(record[field]) for record in rows(client, method) if record[field]]
    client.sandbox.misbehave(method, fault)
    bad = [value(record[field]) for record in rows(client, method) if record[field]]
    changed = [after - before for before, after in zip(good, bad, strict=True) if after != before]
    assert changed == [pytest.approx(difference)]


@pytest.mark.parametrize(
    ("fault", "spoilt", "km"),
    [
        (Fault.ODOMETER_WILD, 1, lambda _: 999_999),
        (Fault.ODOMETER_SET, None, lambda km: km + 300_000),
        (Fault.ODOMETER_RESET, None, lambda km: km % 100),
    ],
)
def test_odometers_are_wild_set_or_reset(
    client: SandboxClient, fault: Fault, spoilt: int | None, km: Callable[[float], float]
) -> None:
    good = rows(client, SWEEP)
    client.sandbox.misbehave(SWEEP, fault)
    pairs = [
        (float(before["currentMileage"]), float(after["currentMileage"]))
        for before, after in zip(good, rows(client, SWEEP), strict=True)
        if float(before["currentMileage"]) > 0
    ]
    changed = [(before, after) for before, after in pairs if before != after]
    assert len(changed) == (spoilt or len(pairs))
    for before, after in changed:
        assert after == pytest.approx(km(before))


def rows(client: SandboxClient, method: str) -> list[dict[str, Any]]:
    """The records of one answer."""
    ask = {
        SWEEP: "target",
        TRACK: "imei begin",
        MILEAGE: "imeis begin",
        ALARMS: "imeis begin",
        PARKING: "account imeis start rows acc",
    }[method]
    answer = client.call(method, **valid_parameters(client, ask))
    found: list[dict[str, Any]] = answer["result"] or answer["data"]["rows"]
    return found


def shared(one: bytes, other: bytes) -> int:
    """Length of the common beginning, in bytes."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
