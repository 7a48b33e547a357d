"""The made-up fleet: the vendor's quirks, determinism, and a truth that agrees with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import (
    ALARMS,
    DAY_BEFORE,
    MILEAGE,
    NOW,
    PARKING,
    TRACK,
    SandboxClient,
    all_rows,
    reporting_devices,
    valid_parameters,
    whole_fleet,
)

from sandbox import Fleet, StopKind, Trip, World, baseline, fleet
from sandbox.geometry import GeoPoint, distance_m
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
from sandbox.sent_pushes import pushes


def test_lists_cover_one_account_and_the_sweep_omits_devices_silently(
    client: SandboxClient,
) -> None:
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
    assert set(swept) == set(reporting_devices(world)) | expired
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


def test_two_vehicles_carry_two_devices() -> None:
    world = whole_fleet()
    dashcams = [device for device in world.devices.values() if device.model == "JC400P"]
    assert len(world.devices) == 82
    assert len(dashcams) == 2
    for dashcam, tracker in zip(dashcams, world.devices.values(), strict=False):
        assert (dashcam.plate, dashcam.driver) == (tracker.plate, tracker.driver)
        mine, other = world.last_fix(dashcam.imei), world.last_fix(tracker.imei)
        assert mine is not None
        assert other is not None
        assert distance_m(GeoPoint(*mine[1:3]), GeoPoint(*other[1:3])) < 15


def test_baseline_is_the_fleet_of_2026_04_12() -> None:
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


def test_spelling_and_types_drift_in_a_minority(client: SandboxClient) -> None:
    imeis, window = valid_parameters(client, "imeis"), valid_parameters(client, "begin")
    trips = all_rows(client, MILEAGE, "result", **imeis, **window)
    spelling = Counter("elapsed" in trip for trip in trips)
    assert 0 < spelling[True] < spelling[False]
    assert all(("elapsed" in trip) != ("runTimeSecond" in trip) for trip in trips)
    points = client.call(TRACK, **valid_parameters(client, "imei begin"))["result"]
    types = Counter(type(point["gpsSpeed"]) for point in points)
    assert 0 < types[str] < types[float]
    assert {point["ignition"] for point in points} == {"ON", "OFF"}
    times = [point["gpsTime"] for point in points]
    assert times != sorted(times)
    assert len(times) == len(set(times))


def test_lost_signal_delays_points_and_trips() -> None:
    """Within a gap the platform knows nothing newer; after it the points come late, marked so."""
    world = whole_fleet()
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


def test_a_running_trip_is_returned_again_with_its_final_values() -> None:
    final = fleet(now=NOW)
    imei, trip = next(
        (imei, trip)
        for imei in reporting_devices(final)
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
    imeis = reporting_devices(world)[::9]
    day = [world.truth(imei, DAY_BEFORE) for imei in imeis]
    fixes = [fix for imei in imeis for fix in world.fixes(imei, NOW - 2 * DAY, NOW - DAY)]
    return repr((day, fixes, [world.odometer_m(imei, NOW) for imei in imeis]))


def test_a_day_does_not_depend_on_what_was_asked_before() -> None:
    fresh, used = fleet(now=NOW), fleet(now=NOW, days=30)
    for offset in (20, 3, 11):
        for imei in reversed(reporting_devices(used)):
            used.truth(imei, DAY_BEFORE - timedelta(days=offset))
    assert digest(fresh) == digest(used)
    assert digest(fresh) != digest(fleet(now=NOW, seed=2))


def test_another_process_sees_the_same_fleet() -> None:
    code = "from test_sandbox_fleet import *; print(len(d := digest(fleet(now=NOW))), d[-400:])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ".:tests"},
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


def test_truth_is_the_sum_of_what_is_served(client: SandboxClient) -> None:
    """Tolerances: metres are served to 0.1 m per trip, speeds to 0.1 km/h; seconds are exact."""
    world = client.sandbox.world
    imeis = reporting_devices(world)[:50]
    asked: dict[str, object] = {"imeis": ",".join(imeis)}
    for day in (DAY_BEFORE, date(2026, 4, 5), eat_day(NOW)):
        start, end = eat_bounds(day)
        last = min(end - 1, NOW)
        window = {"begin_time": plain(start), "end_time": plain(last)}
        trips = all_rows(client, MILEAGE, "result", **asked, **window)
        alarms = all_rows(client, ALARMS, "result", **asked, **window)
        stops = [
            stop
            for acc_type in ("0", "on")
            for stop in all_rows(
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


def test_trails_are_as_long_as_the_trips(client: SandboxClient) -> None:
    """Fixes every 20 s cut sharp corners and are blurred by 3 m: 2 % over a day's trips."""
    world = client.sandbox.world
    for imei in reporting_devices(world)[::5]:
        trips = world.trips(imei, *eat_bounds(DAY_BEFORE))
        metres = sum(trail_m(client, imei, trip) for trip in trips)
        assert metres == pytest.approx(sum(trip.distance_m for trip in trips), rel=0.02)


def trail_m(client: SandboxClient, imei: str, trip: Trip) -> float:
    window = {"begin_time": plain(trip.start), "end_time": plain(trip.end)}
    points = client.call(TRACK, imei=imei, **window)["result"]
    points.sort(key=lambda point: point["gpsTime"])
    trail = [GeoPoint(point["lat"], point["lng"]) for point in points]
    return sum(map(distance_m, trail, trail[1:]))


def test_motion_is_plausible() -> None:
    """No second belongs to two spells, the odometer is continuous, speeds are possible."""
    world = whole_fleet()
    for imei in reporting_devices(world)[::4]:
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


def test_the_fleet_shows_every_kind_of_event() -> None:
    world = whole_fleet()
    alarms: Counter[str] = Counter()
    midnight = cities = 0
    for imei in reporting_devices(world):
        alarms.update(alarm.alarm_type for alarm in world.alarms(imei, 0, NOW))
        for trip in world.trips(imei, NOW - 14 * DAY, NOW):
            midnight += eat_day(trip.start) != eat_day(trip.end)
            cities += trip.distance_m > 150_000
    assert {"2", "3", "25", "41", "48", "overSpeed", "in", "out"} <= alarms.keys()
    assert midnight > 0
    assert cities > 0


def test_pushes_of_a_later_window_repeat_those_of_an_earlier_one() -> None:
    """Else a second demo would add events, heartbeats and readings of the first one's day."""

    def records(start: int, end: int) -> set[str]:
        world = fleet(days=2, now=end, devices=20)
        # Late fixes and running trips may change until they are complete.
        return {
            json.dumps([path, record], sort_keys=True)
            for path, record in pushes(world, start, end)
            if path not in ("/pushgps", "/pushtripreport")
            and parse(record["gateTime"]) <= NOW - HOUR
        }

    earlier = records(NOW - 24 * HOUR, NOW)
    later = records(NOW - 23 * HOUR, NOW + HOUR)
    assert {json.loads(record)[0] for record in later} >= {"/pushevent", "/pushhb", "/pushoil"}
    assert later <= earlier


def test_plans_cover_their_day() -> None:
    """No phase is missing and none runs past 04:00, whatever the day brings."""
    world = fleet(now=NOW)
    for number in range(30):
        for day in range(20_500, 20_528):
            phases = world._vehicles.plan(number, day).phases
            assert phases[-1].end - phases[0].start == DAY
            assert all(a.end == b.start for a, b in pairwise(phases))
            assert phases[-1].kind in (Kind.PARKED, Kind.SILENT)
