"""The sandbox over real HTTP: protocol, codes, pages, recordings."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from sandbox_client import (
    ALARMS,
    MILEAGE,
    NOW,
    PARKING,
    TRACK,
    SandboxClient,
    all_rows,
    at,
    valid_parameters,
)
from waiting import TIMEOUT_S

from sandbox import Sandbox, StopKind, Traces, baseline, sign
from sandbox import issued_tokens as sandbox_tokens
from sandbox.geometry import GeoPoint
from sandbox.instants import DAY, HOUR, MINUTE, instant, plain
from sandbox.trace_rules import Position, State, spells


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            "app_key=SAMPLEKEY|expires_in=7200|format=json|method=jimi.oauth.token.get"
            "|sign_method=md5|timestamp=2026-03-02 06:00:00|user_id=fleet_demo"
            "|user_pwd_md5=5e8ff9bf55ba3508199d22e984129be6|v=1.0",
            "D1991E8300DE2FCFAB0ED1B13340CC42",
        ),
        (
            "app_key=SAMPLEKEY|access_token=00000000000000000000000000000001|format=json"
            "|method=jimi.device.location.get|sign_method=md5|timestamp=2026-03-02 09:30:00|v=1.0"
            "|imeis=860000000000017,860000000000025|map_type=",
            "F001B78CCAA82236B5F921649CCF24C4",
        ),
    ],
)
def test_signature_follows_the_published_rule(params: str, expected: str) -> None:
    pairs = dict(pair.split("=") for pair in params.split("|"))
    assert sign("SAMPLESECRET", pairs) == expected


def test_unsigned_late_and_foreign_calls_are_refused(client: SandboxClient) -> None:
    late = plain(int(time.time()) - 11 * MINUTE)
    target = client.sandbox.account
    method = "jimi.user.device.list"
    assert client.call(method, target=target)["code"] == 0
    assert client.call(method, target=target, timestamp=late)["code"] == 1001
    assert client.call(method, target=target, sign="0" * 32)["code"] == 1001
    assert client.call(method, target=target, app_key="other")["code"] == 1001
    assert client.call(method, target=target, access_token="other")["code"] == 1004
    assert client.call("jimi.no.such.method")["code"] == 1007


def test_a_token_is_issued_once_a_minute_and_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(baseline(), token_life_seconds=7200) as sandbox:
        client = SandboxClient(sandbox)
        assert client.log_in(user_pwd_md5="0" * 32)["code"] == 1002
        assert client.log_in(expires_in=59)["code"] == 1001
        assert client.log_in()["code"] == 0
        assert client.log_in()["code"] == 1006
        assert client.call("jimi.user.child.list", target=sandbox.account)["code"] == 0
        later = time.monotonic() + 7200
        monkeypatch.setattr(
            sandbox_tokens, "time", SimpleNamespace(time=time.time, monotonic=lambda: later)
        )
        assert client.call("jimi.user.child.list", target=sandbox.account)["code"] == 1004


def test_a_refresh_ends_the_old_token(client: SandboxClient) -> None:
    first = client.log_in()["result"]
    asked = {"refresh_token": first["refreshToken"], "expires_in": 7200}
    second = client.call("jimi.oauth.token.refresh", **asked)["result"]
    target = client.sandbox.account
    assert client.call("jimi.user.child.list", target=target)["code"] == 1004
    client.token = second["accessToken"]
    assert client.call("jimi.user.child.list", target=target)["code"] == 0
    assert client.call("jimi.oauth.token.refresh", **asked)["code"] == 1004


@pytest.mark.parametrize(
    ("method", "params", "place", "keys"),
    [
        ("jimi.user.child.list", "target", "result", {"account", "type", "enabledFlag"}),
        ("jimi.user.device.list", "target", "result", {"reMark", "machineName", "driverName"}),
        ("jimi.user.device.location.list", "target", "result", {"hbTime", "electQuantity"}),
        ("jimi.device.location.get", "imeis", "result", {"expireFlag", "trackerOil"}),
        ("jimi.device.track.list", "imei begin", "result", {"gpsTime", "gpsMode"}),
        ("jimi.device.track.mileage", "imeis begin", "result", {"distance", "startMileage"}),
        (
            "jimi.open.platform.report.parking",
            "account imeis start rows acc",
            "data.rows",
            {"durSecond", "stopSecond", "acc"},
        ),
        ("jimi.device.alarm.list", "imeis begin", "result", {"alertTypeId", "alertTime"}),
        ("jimi.open.platform.fence.list", "account", "result.rows", {"fence_id", "coordinates"}),
        (
            "jimi.device.obd.list",
            "account imeis start",
            "data.result",
            {"vehicleBatterVoltage", "odometerReading"},
        ),
    ],
)
def test_records_are_where_the_method_puts_them(
    client: SandboxClient, method: str, params: str, place: str, keys: set[str]
) -> None:
    records = at(client.call(method, **valid_parameters(client, params)), place)
    assert records
    assert all(keys <= record.keys() for record in records)


def test_single_objects_are_in_result(client: SandboxClient) -> None:
    detail = client.call("jimi.track.device.detail", **valid_parameters(client, "imei"))["result"]
    assert {"account", "customerName", "iccid", "imsi", "fuel_100km", "currentMileage"} <= set(
        detail
    )
    for fence in client.sandbox.world.fences:
        found = client.call("jimi.open.platform.fence.detail", fence_id=fence.fence_id)["result"]
        assert found["fence_type"] == ("polygon" if found["radius"] is None else "circle")
        assert len(found["coordinates"].split(";")) == len(fence.points)


FUTURE = plain(NOW + HOUR)


@pytest.mark.parametrize(
    ("method", "params", "wrong", "code"),
    [
        (TRACK, "imei begin", {"end_time": FUTURE}, 1001),
        (TRACK, "imei begin", {"begin_time": plain(NOW - 8 * DAY)}, 1001),
        (TRACK, "imei begin", {"begin_time": "2025-11-01 00:00:00"}, 1001),
        (TRACK, "imei begin", {"begin_time": "yesterday"}, 1001),
        (TRACK, "imei begin", {"imei": "860000900000000"}, 1002),
        (TRACK, "begin", {}, 1001),
        (MILEAGE, "imeis begin", {"imeis": ",".join(f"{n:015}" for n in range(51))}, 220),
        (MILEAGE, "imeis begin", {"page_size": "101"}, 1001),
        (MILEAGE, "imeis begin", {"imeis": "860000100000000,860000900000000"}, 1002),
        (ALARMS, "imeis begin", {"begin_time": plain(NOW - 33 * DAY)}, 1001),
        (ALARMS, "imeis begin", {"page_no": "0"}, 1001),
        (PARKING, "account imeis start acc", {}, 1001),
        (PARKING, "account imeis start rows acc", {"page_size": "101"}, 1001),
        ("jimi.user.device.list", "target", {"target": "somebody_else"}, 1002),
        ("jimi.open.platform.fence.detail", "", {"fence_id": "no"}, 1100),
    ],
)
def test_wrong_parameters_get_their_code(
    client: SandboxClient, method: str, params: str, wrong: dict[str, str], code: int
) -> None:
    assert client.call(method, **valid_parameters(client, params) | wrong)["code"] == code


def test_fix_m13_parking_is_empty_without_account_or_acc_type(client: SandboxClient) -> None:
    good = valid_parameters(client, "account imeis start rows acc")
    for missing in ("account", "acc_type"):
        answer = client.call(PARKING, **{k: v for k, v in good.items() if k != missing})
        assert (answer["code"], answer["data"]["rows"]) == (0, [])
    rows = client.call(PARKING, **good)["data"]["rows"]
    assert rows == client.call(PARKING, **good | {"acc_type": "off"})["data"]["rows"]
    assert {row["acc"] for row in rows} == {"off"}
    idling = client.call(PARKING, **good | {"acc_type": "on"})["data"]["rows"]
    assert {row["acc"] for row in idling} == {"on"}


def test_pages_of_one_query_agree(client: SandboxClient) -> None:
    whole = valid_parameters(client, "imeis begin")
    for method in (MILEAGE, ALARMS):
        rows = [json.dumps(row) for row in all_rows(client, method, "result", **whole)]
        assert len(rows) == len(set(rows)) > 20
    capped = client.call(
        MILEAGE, imeis=whole["imeis"], begin_time=plain(NOW - 9 * DAY), end_time=plain(NOW)
    )
    assert len(capped["result"]) == 100


def test_requests_are_logged(client: SandboxClient) -> None:
    before = time.time()
    client.call("jimi.user.child.list", **valid_parameters(client, "target"))
    request = client.sandbox.requests[-1]
    assert request.method == "jimi.user.child.list"
    assert request.params["target"] == client.sandbox.account
    assert before <= request.at <= time.time()


# ---------------------------------------------------------------- recorded traces


def north(metres: float) -> GeoPoint:
    return GeoPoint(metres / 111_195, 36.0)


def test_trace_rules() -> None:
    """Ten minutes of driving with a glitch and a red light, a wait, a silence, another drive."""
    plan = [(minute, 500.0 * minute) for minute in range(6)]
    plan += [(6, 2500.0), (7, 2500.0), (8, 3000.0), (9, 3500.0)]  # two minutes at a light
    plan += [(minute, 3500.0) for minute in range(10, 16)]  # a wait with the engine on
    plan += [(120, 3550.0), (121, 4050.0), (122, 4550.0)]  # slept nearby, then drove on
    positions = [Position(minute * MINUTE, north(metres)) for minute, metres in plan]
    positions.insert(3, Position(150, north(90_000)))
    found = spells(positions)
    assert [spell.state for spell in found] == [State.MOVING, State.STANDING, State.MOVING]
    assert found[0].metres == pytest.approx(3500, rel=0.001)
    assert found[0].seconds == 9 * MINUTE
    assert found[1].stop_kind is StopKind.PARKED
    waiting = spells(positions[:17])
    assert [spell.state for spell in waiting] == [State.MOVING, State.STANDING]
    assert waiting[1].stop_kind is StopKind.IDLING
    assert spells([Position(0, north(0)), Position(20 * MINUTE, north(9000))]) == []


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["imei", "gps_time", "lat", "lng", "occupied"])
        start = instant(2008, 5, 20, 6)
        for minute in range(90):
            metres = 600.0 * min(minute, 20) + (1e6 if minute == 10 else 0)
            writer.writerow(["869000000000001", plain(start + minute * MINUTE), *north(metres), 0])
    return path


def test_recording_is_served_through_the_same_protocol(recording: Path) -> None:
    world = Traces(recording)
    with Sandbox(world) as sandbox:
        client = SandboxClient(sandbox)
        client.log_in()
        window = {"begin_time": "2008-05-20 00:00:00", "end_time": "2008-05-20 07:29:00"}
        imei = client.call("jimi.user.device.list", target=sandbox.account)["result"][0]["imei"]
        trips = client.call(MILEAGE, imeis=imei, **window)["result"]
        points = client.call(TRACK, imei=imei, **window)["result"]
        assert len(points) == 90  # the glitch too
        assert [trip["distance"] for trip in trips] == [pytest.approx(12_000, rel=0.001)]
        assert client.call(ALARMS, imeis=imei, **window)["result"] is None
        assert (
            client.call(
                TRACK, imei=imei, begin_time="2008-05-20 07:00:00", end_time="2008-05-20 08:00:00"
            )["code"]
            == 1001
        )
        truth = world.truth(imei, date(2008, 5, 20))
        assert truth is not None
        assert (len(truth.trips), truth.parked_s) == (1, 69 * MINUTE)
    earlier = Traces(recording, now=instant(2008, 5, 20, 6, 5))
    so_far = earlier.truth(imei, date(2008, 5, 20))
    assert so_far is not None
    assert so_far.distance_m == pytest.approx(3000, rel=0.001)


# ---------------------------------------------------------------- command line


def test_command_line_serves_until_sigterm(tmp_path: Path) -> None:
    env_file = tmp_path / "sandbox.env"
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--profile",
        "baseline",
        "--env-file",
        str(env_file),
    ]
    command += ["--fault", "jimi.user.child.list:system_busy:1"]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        settings = dict(pair.split("=", 1) for pair in line.split())
        assert env_file.read_text().split() == line.split()
        assert (
            requests.post(settings["TRACKSOLID_API_URL"], timeout=TIMEOUT_S).json()["code"] == 1001
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=TIMEOUT_S) == 0
