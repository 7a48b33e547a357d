"""From real HTTP calls to the sandbox's promises: protocol, codes, truth, determinism, faults."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import (
    Fault,
    Fleet,
    Sandbox,
    Sent,
    StopKind,
    Traces,
    Trip,
    World,
    baseline,
    fleet,
    sign,
)
from sandbox.faults import POISON
from sandbox.geometry import Point, distance_m
from sandbox.instants import (
    DAY,
    HOUR,
    MINUTE,
    eat_bounds,
    eat_day,
    instant,
    operating_day,
    parse,
    plain,
)
from sandbox.plan import Gap, Kind
from sandbox.trace_rules import Position, State, spells

NOW = instant(2026, 4, 10, 12)  # a Friday, 15:00 EAT
DAY_BEFORE = date(2026, 4, 9)


class Client:
    """The least that can talk to the API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.token = ""

    def post(self, method: str, /, **params: object) -> requests.Response:
        form = {
            "method": method,
            "app_key": self.sandbox.app_key,
            "timestamp": plain(int(time.time())),
            "access_token": self.token,
            "v": "1.0",
        } | {name: str(value) for name, value in params.items()}
        form.setdefault("sign", sign(self.sandbox.app_secret, form))
        return self.session.post(self.sandbox.url, data=form, timeout=10)

    def call(self, method: str, /, **params: object) -> dict[str, Any]:
        answer: dict[str, Any] = self.post(method, **params).json()
        return answer

    def log_in(self, **params: object) -> dict[str, Any]:
        asked = {
            "user_id": self.sandbox.account,
            "user_pwd_md5": self.sandbox.password_md5,
            "expires_in": 7200,
        } | params
        answer = self.call("jimi.oauth.token.get", **asked)
        self.token = (answer["result"] or {}).get("accessToken", self.token)
        return answer


@pytest.fixture(scope="module")
def world() -> World:
    return fleet(now=NOW)


@pytest.fixture(scope="module")
def sandbox(world: World) -> Iterator[Sandbox]:
    with Sandbox(world, login_interval_seconds=0) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    sandbox.clear()
    client = Client(sandbox)
    client.log_in()
    yield client
    sandbox.clear()
    sandbox.sent = None


def heard(world: World) -> list[str]:
    return [imei for imei in world.devices if world.last_fix(imei)]


def day_window(day: date) -> tuple[str, str]:
    start, end = eat_bounds(day)
    return plain(start), plain(end - 1)


# ---------------------------------------------------------------- protocol


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
def test_signature_is_the_one_of_the_published_rule(params: str, expected: str) -> None:
    pairs = dict(pair.split("=") for pair in params.split("|"))
    assert sign("SAMPLESECRET", pairs) == expected


def test_unsigned_late_and_foreign_calls_are_refused(client: Client) -> None:
    late = plain(int(time.time()) - 11 * MINUTE)
    target = client.sandbox.account
    method = "jimi.user.device.list"
    assert client.call(method, target=target)["code"] == 0
    assert client.call(method, target=target, timestamp=late)["code"] == 1001
    assert client.call(method, target=target, sign="0" * 32)["code"] == 1001
    assert client.call(method, target=target, app_key="other")["code"] == 1001
    assert client.call(method, target=target, access_token="other")["code"] == 1004
    assert client.call("jimi.no.such.method")["code"] == 1007


def test_token_is_given_once_a_minute_and_dies() -> None:
    with Sandbox(baseline(), token_life_seconds=0.2) as sandbox:
        client = Client(sandbox)
        assert client.log_in(user_pwd_md5="0" * 32)["code"] == 1002
        assert client.log_in(expires_in=59)["code"] == 1001
        assert client.log_in()["code"] == 0
        assert client.log_in()["code"] == 1006
        assert client.call("jimi.user.child.list", target=sandbox.account)["code"] == 0
        time.sleep(0.25)
        assert client.call("jimi.user.child.list", target=sandbox.account)["code"] == 1004


def test_refresh_revokes_the_former_token(client: Client) -> None:
    first = client.log_in()["result"]
    asked = {"refresh_token": first["refreshToken"], "expires_in": 7200}
    second = client.call("jimi.oauth.token.refresh", **asked)["result"]
    target = client.sandbox.account
    assert client.call("jimi.user.child.list", target=target)["code"] == 1004
    client.token = second["accessToken"]
    assert client.call("jimi.user.child.list", target=target)["code"] == 0
    assert client.call("jimi.oauth.token.refresh", **asked)["code"] == 1004


def at(answer: Mapping[str, Any], place: str) -> Any:
    value: Any = answer
    for key in place.split("."):
        value = value[key]
    return value


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
def test_list_stands_where_the_method_puts_it(
    client: Client, method: str, params: str, place: str, keys: set[str]
) -> None:
    records = at(client.call(method, **some(client, params)), place)
    assert records
    assert all(keys <= record.keys() for record in records)


def some(client: Client, names: str) -> dict[str, object]:
    """Good parameters for the words of a method's request."""
    start, end = day_window(DAY_BEFORE)
    imeis = heard(client.sandbox.world)[:20]
    words: dict[str, dict[str, object]] = {
        "target": {"target": client.sandbox.account},
        "account": {"account": client.sandbox.account},
        "imei": {"imei": imeis[0]},
        "imeis": {"imeis": ",".join(imeis)},
        "begin": {"begin_time": start, "end_time": end},
        "start": {"start_time": start, "end_time": end},
        "rows": {"start_row": "0", "page_size": "100"},
        "acc": {"acc_type": "0"},
    }
    return {key: value for name in names.split() for key, value in words[name].items()}


def test_single_objects_stand_in_result(client: Client) -> None:
    detail = client.call("jimi.track.device.detail", **some(client, "imei"))["result"]
    assert {"account", "customerName", "iccid", "imsi", "fuel_100km", "currentMileage"} <= set(
        detail
    )
    for fence in client.sandbox.world.fences:
        found = client.call("jimi.open.platform.fence.detail", fence_id=fence.fence_id)["result"]
        assert found["fence_type"] == ("polygon" if found["radius"] is None else "circle")
        assert len(found["coordinates"].split(";")) == len(fence.points)


FUTURE = plain(NOW + HOUR)
TRACK, MILEAGE = "jimi.device.track.list", "jimi.device.track.mileage"
ALARMS, PARKING = "jimi.device.alarm.list", "jimi.open.platform.report.parking"


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
    client: Client, method: str, params: str, wrong: dict[str, str], code: int
) -> None:
    assert client.call(method, **some(client, params) | wrong)["code"] == code


def test_fix_m13_parking_is_empty_without_account_or_acc_type(client: Client) -> None:
    good = some(client, "account imeis start rows acc")
    for missing in ("account", "acc_type"):
        answer = client.call(PARKING, **{k: v for k, v in good.items() if k != missing})
        assert (answer["code"], answer["data"]["rows"]) == (0, [])
    rows = client.call(PARKING, **good)["data"]["rows"]
    assert rows == client.call(PARKING, **good | {"acc_type": "off"})["data"]["rows"]
    assert {row["acc"] for row in rows} == {"off"}
    idling = client.call(PARKING, **good | {"acc_type": "on"})["data"]["rows"]
    assert {row["acc"] for row in idling} == {"on"}


def paged(client: Client, method: str, place: str, **params: object) -> list[dict[str, Any]]:
    """Every row of a report paged by start_row or page_no."""
    rows: list[dict[str, Any]] = []
    for page in range(200):
        paging = {"start_row": page * 100, "page_no": page + 1, "page_size": 100}
        found = at(client.call(method, **params, **paging), place) or []
        rows += found
        if len(found) < 100:
            return rows
    raise AssertionError("no end of pages")


def test_pages_fit_together(client: Client) -> None:
    whole = some(client, "imeis begin")
    for method in (MILEAGE, ALARMS):
        rows = [json.dumps(row) for row in paged(client, method, "result", **whole)]
        assert len(rows) == len(set(rows)) > 20
    capped = client.call(
        MILEAGE, imeis=whole["imeis"], begin_time=plain(NOW - 9 * DAY), end_time=plain(NOW)
    )
    assert len(capped["result"]) == 100


# ---------------------------------------------------------------- quirks of the fleet


def test_lists_show_one_account_only_and_sweep_omits_silently(client: Client) -> None:
    world, parent = client.sandbox.world, client.sandbox.account
    children = client.call("jimi.user.child.list", target=parent)["result"]
    assert client.call("jimi.user.child.list", target=children[0]["account"])["result"] is None
    listed: set[str] = set()
    swept: dict[str, dict[str, Any]] = {}
    for account in (parent, *(child["account"] for child in children)):
        listed_here = client.call("jimi.user.device.list", target=account, start_row=5)["result"]
        listed |= {record["imei"] for record in listed_here}
        sweep = client.call("jimi.user.device.location.list", target=account)["result"]
        swept |= {record["imei"]: record for record in sweep}
    assert listed == set(world.devices)
    expired = {imei for imei, device in world.devices.items() if device.is_expired}
    assert set(swept) == set(heard(world)) | expired
    assert len(listed) - len(swept) == 3
    assert all(len(record) == 35 for record in swept.values())
    for imei in expired:
        assert (swept[imei]["lat"], swept[imei]["lng"], swept[imei]["expireFlag"]) == (0, 0, "0")
    deaf = [
        record
        for record in swept.values()
        if record["status"] == "1" and NOW - parse(record["gpsTime"]) > 12 * HOUR
    ]
    assert len(deaf) == 1


def test_two_vehicles_carry_two_devices(world: World) -> None:
    dashcams = [device for device in world.devices.values() if device.model == "JC400P"]
    assert len(world.devices) == 82
    assert len(dashcams) == 2
    for dashcam, tracker in zip(dashcams, world.devices.values(), strict=False):
        assert (dashcam.plate, dashcam.driver) == (tracker.plate, tracker.driver)
        mine, other = world.last_fix(dashcam.imei), world.last_fix(tracker.imei)
        assert mine is not None
        assert other is not None
        assert distance_m(Point(*mine[1:3]), Point(*other[1:3])) < 15


def test_baseline_is_the_fleet_of_the_day() -> None:
    now = instant(2026, 4, 12, 9)
    for clock in (now, now + 90 * DAY):
        world = baseline(now=clock)
        ages = [clock - fix.at for imei in world.devices if (fix := world.last_fix(imei))]
        assert len(world.devices) == 63
        assert (sum(age < 2 * HOUR for age in ages), len(ages)) == (2, 19)
        assert not any(device.driver for device in world.devices.values())
    by_name = {device.name: imei for imei, device in world.devices.items()}
    seen = world.last_fix(by_name["X3-63282"])
    assert seen is not None
    assert (round(seen.lat, 3), round(seen.lng, 3)) == (0.196, 32.540)
    for name, km in (("KDK 829A GP", 239_264), ("Belta KCU-647D", 235_000)):
        fix = world.last_fix(by_name[name])
        assert fix is not None
        assert round(world.odometer_m(by_name[name], fix.at) / 1000) == km


def test_spelling_and_types_drift_in_a_minority(client: Client) -> None:
    imeis, window = some(client, "imeis"), some(client, "begin")
    trips = paged(client, MILEAGE, "result", **imeis, **window)
    spelling = Counter("elapsed" in trip for trip in trips)
    assert 0 < spelling[True] < spelling[False]
    assert all(("elapsed" in trip) != ("runTimeSecond" in trip) for trip in trips)
    points = client.call(TRACK, **some(client, "imei begin"))["result"]
    types = Counter(type(point["gpsSpeed"]) for point in points)
    assert 0 < types[str] < types[float]
    assert {point["ignition"] for point in points} == {"ON", "OFF"}
    times = [point["gpsTime"] for point in points]
    assert times != sorted(times)
    assert len(times) == len(set(times))


def test_lost_signal_delays_points_and_trips(world: World) -> None:
    """Within a gap the platform knows nothing newer; after it the points come late, marked so."""
    imei, gap = next(gaps(world))
    during, after = fleet(now=gap.end - 1), fleet(now=gap.flushed)
    assert not list(during.fixes(imei, gap.start, gap.end))
    last = during.last_fix(imei)
    assert last is not None
    assert last.at < gap.start
    assert all(trip.end <= gap.start for trip in during.trips(imei, gap.start - DAY, gap.end))
    assert not list(fleet(now=gap.flushed - 1).fixes(imei, gap.start, gap.end - 1))
    late = list(after.fixes(imei, gap.start, gap.end - 1))
    assert late
    assert all(fix.is_late for fix in late)


def gaps(world: World) -> Iterator[tuple[str, Gap]]:
    """Losses of signal of the last days; the devices of the fleet are numbered by vehicle."""
    assert isinstance(world, Fleet)
    for number, imei in enumerate(list(world.devices)[:80]):
        for day in range(operating_day(NOW) - 6, operating_day(NOW)):
            plan = world._vehicles.plan(number, day)
            if plan.gap and world.last_fix(imei):
                yield imei, plan.gap


def test_running_trip_comes_again_with_its_final_values() -> None:
    final = fleet(now=NOW)
    imei, trip = next(
        (imei, trip)
        for imei in heard(final)
        for trip in final.trips(imei, NOW - DAY, NOW - 6 * HOUR)
        if trip.driving_s > 20 * MINUTE
        and not any(f.is_late for f in final.fixes(imei, trip.start, trip.end))
    )
    halfway = trip.start + 10 * MINUTE
    running = fleet(now=halfway).trips(imei, trip.start, halfway)[-1]
    assert (running.start, running.end) == (trip.start, halfway)
    assert 0 < running.distance_m < trip.distance_m
    assert running.max_speed_kmh <= trip.max_speed_kmh


# ---------------------------------------------------------------- determinism


def digest(world: World) -> str:
    imeis = heard(world)[::9]
    day = [world.truth(imei, DAY_BEFORE) for imei in imeis]
    fixes = [fix for imei in imeis for fix in world.fixes(imei, NOW - 2 * DAY, NOW - DAY)]
    return repr((day, fixes, [world.odometer_m(imei, NOW) for imei in imeis]))


def test_a_day_does_not_depend_on_what_was_asked_before() -> None:
    fresh, used = fleet(now=NOW), fleet(now=NOW, days=30)
    for offset in (20, 3, 11):
        for imei in reversed(heard(used)):
            used.truth(imei, DAY_BEFORE - timedelta(days=offset))
    assert digest(fresh) == digest(used)
    assert digest(fresh) != digest(fleet(now=NOW, seed=2))


def test_another_process_sees_the_same_fleet() -> None:
    code = "from tests.test_sandbox import *; print(len(d := digest(fleet(now=NOW))), d[-400:])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    mine = digest(fleet(now=NOW))
    assert outputs == {f"{len(mine)} {mine[-400:]}\n"}


# ---------------------------------------------------------------- truth


def test_truth_is_what_is_served_summed_up(client: Client) -> None:
    """Tolerances: metres are served to 0.1 m per trip, speeds to 0.1 km/h; seconds are exact."""
    world = client.sandbox.world
    imeis = heard(world)[:50]
    asked: dict[str, object] = {"imeis": ",".join(imeis)}
    for day in (DAY_BEFORE, date(2026, 4, 5), eat_day(NOW)):
        start, end = eat_bounds(day)
        last = min(end - 1, NOW)
        window = {"begin_time": plain(start), "end_time": plain(last)}
        trips = paged(client, MILEAGE, "result", **asked, **window)
        alarms = paged(client, ALARMS, "result", **asked, **window)
        stops = [
            stop
            for acc_type in ("0", "on")
            for stop in paged(
                client,
                PARKING,
                "data.rows",
                **asked,
                account=client.sandbox.account,
                acc_type=acc_type,
                start_time=plain(start),
                end_time=plain(last),
            )
        ]
        for imei in imeis:
            truth = world.truth(imei, day)
            assert truth is not None
            mine = [t for t in trips if t["imei"] == imei and parse(t["startTime"]) >= start]
            assert len(mine) == len(truth.trips)
            metres = sum(trip["distance"] for trip in mine)
            assert metres == pytest.approx(truth.distance_m, abs=0.051 * len(mine) + 1e-6)
            assert sum(driving_s(trip) for trip in mine) == truth.driving_s
            assert max((t["maxSpeed"] for t in mine), default=0) == pytest.approx(
                truth.max_speed_kmh, abs=0.051
            )
            standing = [stop for stop in stops if stop["imei"] == imei]
            for kind, seconds in (
                (StopKind.PARKED, truth.parked_s),
                (StopKind.IDLING, truth.idling_s),
            ):
                spans = [span(stop) for stop in standing if stop["acc"] == kind]
                assert sum(min(e, end) - max(s, start) for s, e in spans) == seconds
                started = [stop for stop in truth.stops if stop.kind is kind]
                assert sum(s >= start for s, _ in spans) == len(started)
            counted = Counter(a["alertTypeId"] for a in alarms if a["imei"] == imei)
            assert counted == truth.alarms


def driving_s(trip: Mapping[str, Any]) -> int:
    return int(trip.get("runTimeSecond", trip.get("elapsed")))


def span(stop: Mapping[str, Any]) -> tuple[int, int]:
    """Start and end of a parking row, checked against its duration."""
    start, end = (parse(stop[key][:19].replace("T", " ")) for key in ("startTime", "endTime"))
    assert end - start == int(stop["durSecond"])
    return start, end


def test_trails_are_as_long_as_the_trips(client: Client) -> None:
    """Fixes every 20 s cut sharp corners and are blurred by 3 m: 2 % over a day's trips."""
    world = client.sandbox.world
    for imei in heard(world)[::5]:
        trips = world.trips(imei, *eat_bounds(DAY_BEFORE))
        metres = sum(trail_m(client, imei, trip) for trip in trips)
        assert metres == pytest.approx(sum(trip.distance_m for trip in trips), rel=0.02)


def trail_m(client: Client, imei: str, trip: Trip) -> float:
    window = {"begin_time": plain(trip.start), "end_time": plain(trip.end)}
    points = client.call(TRACK, imei=imei, **window)["result"]
    points.sort(key=lambda point: point["gpsTime"])
    trail = [Point(point["lat"], point["lng"]) for point in points]
    return sum(map(distance_m, trail, trail[1:]))


def test_motion_is_plausible(world: World) -> None:
    """No second belongs to two spells, the odometer is continuous, speeds are possible."""
    for imei in heard(world)[::4]:
        trips = world.trips(imei, NOW - 9 * DAY, NOW)
        stops = world.stops(imei, NOW - 9 * DAY, NOW)
        spans = sorted([(t.start, t.end) for t in trips] + [(s.start, s.end) for s in stops])
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        for trip, following in pairwise(trips):
            counted = trip.odometer_start_m + trip.distance_m
            assert counted == pytest.approx(following.odometer_start_m, abs=0.01)
        assert all(3 < trip.distance_m / trip.driving_s * 3.6 < 110 for trip in trips)
        keys = [(alarm.alarm_type, alarm.at) for alarm in world.alarms(imei, 0, NOW)]
        assert len(keys) == len(set(keys))


def test_fleet_does_all_that_it_should(world: World) -> None:
    alarms: Counter[str] = Counter()
    midnight = cities = 0
    for imei in heard(world):
        alarms.update(alarm.alarm_type for alarm in world.alarms(imei, 0, NOW))
        for trip in world.trips(imei, NOW - 14 * DAY, NOW):
            midnight += eat_day(trip.start) != eat_day(trip.end)
            cities += trip.distance_m > 150_000
    assert {"2", "3", "25", "41", "48", "overSpeed", "in", "out"} <= alarms.keys()
    assert midnight > 0
    assert cities > 0


def test_plans_cover_their_day() -> None:
    """No phase is missing and none runs past 04:00, whatever the day brings."""
    world = fleet(now=NOW)
    for number in range(30):
        for day in range(20_500, 20_528):
            phases = world._vehicles.plan(number, day).phases
            assert phases[-1].end - phases[0].start == DAY
            assert all(a.end == b.start for a, b in pairwise(phases))
            assert phases[-1].kind in (Kind.PARKED, Kind.SILENT)


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault.RATE_LIMITED, 1006), (Fault.SYSTEM_BUSY, -1), (Fault.TOKEN_EXPIRED, 1004)],
)
def test_code_faults(client: Client, fault: Fault, code: int) -> None:
    ask = some(client, "target")
    client.sandbox.misbehave("*", fault, after=1)
    codes = [client.call("jimi.user.device.list", **ask)["code"] for _ in range(3)]
    really_revoked = fault is Fault.TOKEN_EXPIRED
    assert codes == [0, code, 1004 if really_revoked else 0]


def test_bodies_that_are_no_answer(client: Client) -> None:
    ask = some(client, "target")
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


def test_reset_is_a_reset(client: Client) -> None:
    client.sandbox.misbehave("*", Fault.RESET)
    host, port = client.sandbox.url.removeprefix("http://").split("/")[0].split(":")
    body = b"method=jimi.user.child.list"
    request = b"POST /route/rest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request + body)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_stall_answers_late(client: Client) -> None:
    client.sandbox.misbehave("jimi.user.child.list", "stall", seconds=0.3)
    started = time.monotonic()
    assert client.call("jimi.user.child.list", **some(client, "target"))["code"] == 0
    assert time.monotonic() - started >= 0.3


def test_rate_hits_about_that_share_and_spares_the_login(client: Client) -> None:
    client.sandbox.misbehave("*", Fault.SYSTEM_BUSY, rate=0.3)
    ask = some(client, "target")
    codes = [client.call("jimi.user.child.list", **ask)["code"] for _ in range(100)]
    assert 15 < codes.count(-1) < 45
    assert all(client.log_in()["code"] == 0 for _ in range(5))


def test_paging_and_order_faults(client: Client) -> None:
    ask = some(client, "imeis begin") | {"page_size": 10}
    first = client.call(MILEAGE, **ask, start_row=0)["result"]
    second = client.call(MILEAGE, **ask, start_row=10)["result"]
    client.sandbox.misbehave(MILEAGE, Fault.REPEATED_PAGE)
    assert client.call(MILEAGE, **ask, start_row=10)["result"] == first != second
    client.sandbox.misbehave(MILEAGE, Fault.SHUFFLED)
    shuffled = client.call(MILEAGE, **ask, start_row=10)["result"]
    assert shuffled != second
    assert sorted(map(str, shuffled)) == sorted(map(str, second))


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
    client: Client, fault: Fault, method: str, params: str
) -> None:
    ask = some(client, params)
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


def shared(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def test_requests_are_logged(client: Client) -> None:
    client.call("jimi.user.child.list", **some(client, "target"))
    request = client.sandbox.requests[-1]
    assert request.method == "jimi.user.child.list"
    assert request.params["target"] == client.sandbox.account
    assert abs(request.at - time.time()) < 5


# ---------------------------------------------------------------- recorded traces


def north(metres: float) -> Point:
    return Point(metres / 111_195, 36.0)


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
        client = Client(sandbox)
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
        assert requests.post(settings["TRACKSOLID_API_URL"], timeout=5).json()["code"] == 1001
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
