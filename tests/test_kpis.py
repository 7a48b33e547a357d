"""Compares the KPIs in gold with a Python computation from the sandbox's truth.

KPIs based on the trail (speeding, harsh events, zones) are computed from the stored fixes;
test_pipeline.py shows that those are true. The rules come from seeds/operating_rules.csv.
"""

import itertools
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache

import psycopg
import pytest
from fleet_model import (
    CITIES,
    PRIMARY,
    RULES,
    FleetModel,
    TrueVehicle,
    at_depot,
    complete_days,
    driving_events,
    has_shift,
    km,
    penalty_points,
    reporting_price,
)
from test_pipeline import days

from sandbox import World
from sandbox.instants import HOUR, eat_bounds
from settings import ROOT


@pytest.fixture(scope="module")
def vehicles(fleet_world: World, gold: psycopg.Connection) -> list[TrueVehicle]:
    rows = gold.execute(PRIMARY.encode()).fetchall()
    reporting = [row for row in rows if fleet_world.last_fix(row[0])]
    return [TrueVehicle(fleet_world, gold, row) for row in reporting]


@pytest.fixture(scope="module")
def depots(fleet_world: World) -> list[tuple[float, float, float]]:
    """Depots as (lat, lng, radius in km): the fences with the word depot in their name."""
    fences = [fence for fence in fleet_world.fences if fence.name.endswith("depot")]
    return [(*fence.points[0], fence.radius_m / 1000) for fence in fences]


@pytest.fixture(scope="module")
def figure(gold: psycopg.Connection):
    """figure(mart, column, day, vehicle): the value of a vehicle as a float, None for null."""

    @cache
    def table(mart: str, column: str) -> dict:
        return {
            (day, value): None if number is None else float(number)
            for day, value, number in gold.execute(
                f"select day, scope_value, {column} from dwh_gold.{mart}"
                " where scope = 'vehicle'".encode()
            )
        }

    return lambda mart, column, day, vehicle: table(mart, column).get((day, vehicle.id))


def test_utilisation_kpis_match_truth(
    fleet_world: World, vehicles: list[TrueVehicle], depots: list, figure
) -> None:
    mart, deadheads, shifts = "kpi_fleet_utilisation_daily", 0, set()
    for vehicle in vehicles:
        for day in complete_days(fleet_world):
            truth = fleet_world.truth(vehicle.imei, day)
            if figure(mart, "reported_count", day, vehicle) != 1:
                continue
            where = (vehicle.id, day)
            start = eat_bounds(day)[0]
            driven_km = truth.distance_m / 1000
            assert figure(mart, "distance_km", day, vehicle) == pytest.approx(driven_km, abs=0.02)
            assert figure(mart, "trips_count", day, vehicle) == len(truth.trips), where
            hours = figure(mart, "driving_h", day, vehicle)
            assert hours == pytest.approx(truth.driving_s / HOUR, abs=0.001), where
            assert figure(mart, "idle_h", day, vehicle) == pytest.approx(
                truth.idling_s / HOUR, abs=0.001
            )
            shift_s = RULES["shift_length"] * HOUR
            utilisation = 100 * truth.driving_s / shift_s if has_shift(day) else None
            found = figure(mart, "utilisation_pct", day, vehicle)
            assert found == pytest.approx(utilisation, abs=0.01), where
            shifts.add(has_shift(day))
            assert figure(mart, "moved_count", day, vehicle) == (driven_km >= 1), where
            is_active = driven_km >= 1 or truth.driving_s + truth.idling_s > 300
            assert figure(mart, "active_vehicles_count", day, vehicle) == is_active, where
            trips = vehicle.shift_trips(day)
            departure = figure(mart, "first_departure_h", day, vehicle)
            assert departure == pytest.approx(vehicle.departure_h(day), abs=0.01), where
            if trips:
                assert figure(mart, "last_return_h", day, vehicle) == pytest.approx(
                    (trips[-1].end - start) / HOUR, abs=0.01
                )
            deadhead = figure(mart, "deadhead_km", day, vehicle)
            expected = vehicle.deadhead_m(day, depots)
            if expected is None:
                assert deadhead is None, where
            else:
                deadheads += 1
                assert deadhead == pytest.approx(expected / 1000, abs=0.05), where
    assert deadheads > 20
    assert shifts == {True, False}


def test_productivity_kpis_match_truth(
    fleet_world: World, vehicles: list[TrueVehicle], depots: list, figure
) -> None:
    mart, late = "kpi_technician_productivity_daily", 0
    for vehicle in vehicles:
        for day in complete_days(fleet_world):
            if figure(mart, "service_stops_count", day, vehicle) is None:
                continue
            stops, departure_h = vehicle.service_stops(day, depots), vehicle.departure_h(day)
            assert figure(mart, "service_stops_per_vehicle", day, vehicle) == len(stops)
            assert figure(mart, "service_stops_count", day, vehicle) == len(stops)
            hours = sum(stop.end - stop.start for stop in stops) / HOUR
            assert figure(mart, "time_on_site_h", day, vehicle) == pytest.approx(hours, abs=0.001)
            tardiness = None
            if departure_h is not None:
                tardiness = max(0.0, 60 * (departure_h - RULES["shift_start"]))
                late += tardiness > RULES["tardiness_grace"]
            assert figure(mart, "tardiness_min", day, vehicle) == pytest.approx(tardiness, abs=0.01)
    assert late > 5


def test_behaviour_kpis_match_truth(
    fleet_world: World, vehicles: list[TrueVehicle], figure
) -> None:
    mart, seen = "kpi_driver_behaviour_daily", defaultdict(int)
    for vehicle in vehicles:
        for day in complete_days(fleet_world):
            distance_km = figure(mart, "distance_km", day, vehicle)
            if distance_km is None:
                continue
            counts = driving_events(vehicle, day)
            where = (vehicle.id, day)
            assert figure(mart, "speeding_events_count", day, vehicle) == counts["speeding"], where
            assert figure(mart, "speeding_min", day, vehicle) == pytest.approx(
                counts["speeding_s"] / 60, abs=0.01
            )
            for kind in ("harsh_acceleration", "harsh_braking", "harsh_cornering"):
                # The trail has a fix in 15 to 25 s, which cannot tell harsh driving.
                assert figure(mart, f"{kind}_per_100km", day, vehicle) is None, where
            raised = fleet_world.truth(vehicle.imei, day).alarms
            seen["harsh"] += (harsh := raised["41"] + raised["48"])
            assert figure(mart, "harsh_driving_alarms_count", day, vehicle) == harsh, where
            score = figure(mart, "score", day, vehicle)
            if distance_km >= RULES["score_min_distance"]:
                points = penalty_points(harsh, raised["overSpeed"]) * 100 / distance_km
                assert score == pytest.approx(max(0.0, 100 - points), abs=0.01), where
            else:
                assert score is None, where
            seen["speeding"] += counts["speeding"]
            late = [
                t for t in vehicle.trips(day) if not 5 <= (t.start + 3 * HOUR) % 86400 / HOUR < 20
            ]
            seen["late"] += len(late)
            assert figure(mart, "after_hours_trips_count", day, vehicle) == len(late), where
            weekend_km = distance_km if day.isoweekday() > 5 else 0
            assert figure(mart, "weekend_km", day, vehicle) == pytest.approx(weekend_km, abs=0.001)
    assert min(seen.values()) > 0, seen


def test_depot_departures_match_truth(
    fleet_world: World, vehicles: list[TrueVehicle], depots: list, figure
) -> None:
    """From fix to fix; dbt's unit tests cover other fences."""
    dwell_h = departures = 0.0
    found_departures = 0.0
    for vehicle in vehicles:
        for day in complete_days(fleet_world)[:-1]:
            start, end = eat_bounds(day)
            for fix, after in zip(vehicle.fixes, vehicle.fixes[1:], strict=False):
                if not at_depot(fix[1:3], depots):
                    continue
                until = min(after[0], fix[0] + RULES["fresh_fix_age"] * HOUR)
                dwell_h += max(0.0, min(until, end) - max(fix[0], start)) / HOUR
                is_left = not at_depot(after[1:3], depots) and after[0] == until
                departures += is_left and start < after[0] <= end
            found_departures += (
                figure("kpi_zone_activity_daily", "depot_departures_count", day, vehicle) or 0
            )
    assert found_departures == departures > 50
    assert dwell_h > 500


def test_depot_dwell_matches_truth(
    fleet_world: World, gold: psycopg.Connection, vehicles, depots
) -> None:
    first, last = complete_days(fleet_world)[0], complete_days(fleet_world)[-2]
    start, end = eat_bounds(first)[0], eat_bounds(last)[1]
    expected_s = 0.0
    for vehicle in vehicles:
        for fix, after in zip(vehicle.fixes, vehicle.fixes[1:], strict=False):
            if at_depot(fix[1:3], depots):
                until = min(after[0], fix[0] + RULES["fresh_fix_age"] * HOUR)
                expected_s += max(0.0, min(until, end) - max(fix[0], start))
    row = gold.execute(
        "select sum(dwell_h) from dwh_gold.kpi_zone_activity_daily"
        " where scope = 'zone' and day between %s and %s and scope_value in"
        " (select zone_id from dwh_gold.dim_zones where kind = 'depot')",
        [first, last],
    ).fetchone()
    assert float(row[0]) == pytest.approx(expected_s / HOUR, rel=0.001)


def test_dispatch_kpis_match_truth(
    fleet_world: World, gold: psycopg.Connection, vehicles, figure
) -> None:
    mart, outside = "kpi_dispatch_daily", 0
    for vehicle in vehicles:
        *centre, radius_km = CITIES[vehicle.city]
        for day in complete_days(fleet_world):
            found = figure(mart, "outside_city_count", day, vehicle)
            if found is None:
                continue
            end = eat_bounds(day)[1]
            last = [fix for fix in vehicle.fixes if fix[0] < end][-1]
            places = [trip.end_point for trip in vehicle.trips(day)] + [last[1:3]]
            was_outside = any(km(place, centre) > radius_km for place in places)
            assert found == was_outside, (vehicle.id, day)
            outside += was_outside
    assert outside > 0


def test_fuel_kpis_match_truth(fleet_world: World, vehicles: list[TrueVehicle], figure) -> None:
    """The stand-in's tanks lose 9 l per 100 km and are read once per hour of the trail.

    A single day may differ by an hour's fuel; all days together must agree to 2 %. In the hour of a
    refuelling, fuel used cannot be separated from fuel filled in.
    """
    mart, measured, found_l, burnt_l = "kpi_fuel_cost_daily", 0, 0.0, 0.0
    for vehicle in vehicles:
        for day in complete_days(fleet_world)[1:-1]:
            litres = figure(mart, "fuel_l", day, vehicle)
            if litres is None or figure(mart, "fuel_estimated_pct", day, vehicle) != 0:
                continue
            measured += 1
            truth = fleet_world.truth(vehicle.imei, day)
            true_l = 0.09 * truth.distance_m / 1000
            tanks = [fleet_world.odometer_m(vehicle.imei, t) * 9e-5 // 50 for t in eat_bounds(day)]
            if tanks[0] == tanks[1]:
                assert litres == pytest.approx(true_l, abs=4), (vehicle.id, day)
                found_l, burnt_l = found_l + litres, burnt_l + true_l
            assert litres <= true_l + 4, (vehicle.id, day)
            assert figure(mart, "fuel_cost", day, vehicle) == pytest.approx(
                litres * reporting_price(vehicle.city), abs=0.01
            )
            assert figure(mart, "idle_cost", day, vehicle) == pytest.approx(
                truth.idling_s / HOUR * RULES["idle_fuel"] * reporting_price(vehicle.city), abs=0.01
            )
    assert measured > 100
    assert found_l == pytest.approx(burnt_l, rel=0.02)


def test_health_kpis_match_truth(fleet_world: World, vehicles: list[TrueVehicle], figure) -> None:
    mart = "kpi_vehicle_health_daily"
    for vehicle in vehicles:
        for day in complete_days(fleet_world):
            trips = vehicle.trips(day)
            if not trips:
                continue
            truth_km = fleet_world.odometer_m(vehicle.imei, trips[-1].end) / 1000
            odometer_km = figure(mart, "odometer_km", day, vehicle)
            assert odometer_km == pytest.approx(truth_km, abs=0.01), (vehicle.id, day)
            left_km = vehicle.interval_km - odometer_km % vehicle.interval_km
            assert figure(mart, "km_to_service", day, vehicle) == pytest.approx(left_km, abs=0.002)


def test_data_quality_kpis_match_truth(fleet_world: World, gold: psycopg.Connection) -> None:
    day = complete_days(fleet_world)[-2]
    (row,) = gold.execute(
        "select devices_count, silent_count, never_reported_count, driver_names_pct, plates_pct,"
        " trail_to_trips_pct from dwh_gold.kpi_data_quality_daily"
        " where scope = 'fleet' and day = %s",
        [day],
    ).fetchall()
    served = fleet_world.devices.values()
    never = [d for d in served if fleet_world.last_fix(d.imei) is None]
    silent = [
        d for d in served if (fix := fleet_world.last_fix(d.imei)) and fix.at < eat_bounds(day)[0]
    ]
    assert row[:3] == (len(served), len(silent), len(never))
    assert float(row[3]) == pytest.approx(
        100 * sum(bool(d.driver) for d in served) / len(served), abs=0.01
    )
    assert float(row[4]) == pytest.approx(
        100 * sum(bool(d.plate) for d in served) / len(served), abs=0.01
    )
    assert 97 < row[5] < 103


def test_drivers_distances_add_up_to_the_fleet(
    fleet_world: World, gold: psycopg.Connection
) -> None:
    """Km of all drivers plus km of trips without a driver equal the fleet's km."""
    rows = gold.execute(
        """
        select
            fleet.distance_km,
            (select sum(driver.distance_km) from dwh_gold.kpi_driver_behaviour_daily as driver
             where driver.scope = 'driver' and driver.day = fleet.day),
            (select coalesce(sum(trip.distance_km), 0) from dwh_gold.fact_trips as trip
             where trip.driver_name is null and trip.is_primary_device and trip.day = fleet.day)
        from dwh_gold.kpi_driver_behaviour_daily as fleet
        where fleet.scope = 'fleet'
        """
    ).fetchall()
    assert len(rows) > 5
    for fleet_km, drivers_km, nobody_km in rows:
        assert abs(fleet_km - (drivers_km or 0) - nobody_km) < 0.01


def test_nearest_vehicles_match_truth(fleet_world: World, gold: psycopg.Connection) -> None:
    """The stand-in's clock is fixed in the past, so fresh_fix_age is raised for this test."""
    place = (-1.2921, 36.8219)
    with gold.transaction(force_rollback=True):
        gold.execute(
            "update tracksolid.operating_rules set value = 1e7 where rule = 'fresh_fix_age'"
        )
        found = gold.execute(
            "select vehicle_id, distance_km::float from dwh_gold.nearest_vehicles(%s, %s, 5)", place
        ).fetchall()
    distances = sorted(
        km((fix.lat, fix.lng), place)
        for imei, *_ in gold.execute(PRIMARY.encode())
        if (fix := fleet_world.last_fix(imei))
    )
    assert [distance for _, distance in found] == pytest.approx(distances[:5], abs=0.01)


def test_every_fleet_kpi_matches_truth(
    fleet_world: World, gold: psycopg.Connection, vehicles: list[TrueVehicle], depots: list, figure
) -> None:
    """All fleet KPIs, day by day. Job KPIs are tested in test_jobs.py, live ones below."""
    values = {
        (kpi_id, day): None if value is None else float(value)
        for kpi_id, day, value in gold.execute(
            "select kpi_id, day, value from dwh_gold.kpi_values where scope = 'fleet'"
        )
    }
    elsewhere = {
        kpi_id
        for kpi_id, cadence in gold.execute("select kpi_id, cadence from dwh_gold.kpi_register")
        if cadence == "live" or kpi_id.startswith(("field_service.", "pipeline."))
    }
    model = FleetModel(fleet_world, gold, vehicles, depots, figure)
    *over, today = complete_days(fleet_world)
    assert today not in {day for _, day in values}
    for day in over:
        expected = model.day(day, values)
        assert expected.keys() == {kpi_id for kpi_id, _ in values} - elsewhere
        for kpi_id, (value, tolerance) in expected.items():
            found = values[kpi_id, day]
            if value is None:
                assert found is None, (kpi_id, day)
            else:
                assert found == pytest.approx(value, abs=tolerance), (kpi_id, day)


def test_kpi_values_are_complete_and_fleet_distance_matches_truth(
    fleet_world: World, gold: psycopg.Connection
) -> None:
    """kpi_values has every KPI and day that is over; the fleet's distance equals the truth."""
    counts = gold.execute(
        "select count(distinct kpi_id), count(distinct day) filter (where scope = 'city'),"
        " count(*) filter (where (value is null) = (gate_reason is null))"
        " from dwh_gold.kpi_values"
    ).fetchone()
    register = gold.execute("select count(*) from dwh_gold.kpi_register").fetchone()
    assert counts == (register[0], len(days(fleet_world)) - 1, 0)
    primary = [imei for imei, *_ in gold.execute(PRIMARY.encode())]
    for day in complete_days(fleet_world)[:-1]:
        truths = [fleet_world.truth(imei, day) for imei in primary]
        row = gold.execute(
            "select value from dwh_gold.kpi_values"
            " where kpi_id = 'fleet.distance' and scope = 'fleet' and day = %s",
            [day],
        ).fetchone()
        expected_km = sum(truth.distance_m for truth in truths if truth) / 1000
        assert float(row[0]) == pytest.approx(expected_km, abs=1)


def test_active_kpi_needs_panel_and_reviewer(gold: psycopg.Connection) -> None:
    statement = (ROOT / "dbt_fireside/tests/kpi_active_definitions_are_complete.sql").read_text()
    statement = statement.replace("{{ ref('kpi_register') }}", "dwh_gold.kpi_register")
    assert gold.execute(statement.encode()).fetchall() == []
    with gold.transaction(force_rollback=True):
        gold.execute("update dwh_gold.kpi_register set kpi_status = 'active' where decimals = 2")
        assert gold.execute(statement.encode()).fetchall()


def test_pipeline_kpis_match_the_api_calls(gold: psycopg.Connection) -> None:
    calls = gold.execute("select started_at, code, method from raw.api_calls").fetchall()
    by_day = defaultdict(list)
    for started_at, code, method in calls:
        by_day[(started_at.astimezone(UTC) + timedelta(hours=3)).date()].append(
            (started_at, code, method)
        )
    found = gold.execute(
        "select day, calls_count, failed_calls_pct::float, rejected_records_count,"
        " longest_sweep_gap_min::float from dwh_gold.kpi_pipeline_daily order by day"
    ).fetchall()
    first, last = min(by_day), max(by_day)
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    assert [row[:2] for row in found] == [(day, len(by_day[day])) for day in every]
    rejected = gold.execute("select count(*) from tracksolid.rejected_records").fetchone()
    assert sum(row[3] for row in found) == rejected[0]
    newest = max(at for at, *_ in calls)
    sweeps = [at for at, code, method in calls if code == "0" and "location.list" in method]
    for day, count, failed_pct, *_, gap_min in found:
        failed = sum(code != "0" for _, code, _ in by_day[day])
        assert failed_pct == (pytest.approx(100 * failed / count, abs=0.01) if count else None)
        start, end = (datetime.fromtimestamp(at, UTC) for at in eat_bounds(day))
        edges = [at for at in (start, min(end, newest)) if at > min(sweeps)]
        moments = sorted([at for at in sweeps if start <= at < end] + edges)
        gaps = [(b - a).total_seconds() / 60 for a, b in itertools.pairwise(moments)]
        assert gap_min == (pytest.approx(max(gaps), abs=0.01) if gaps else None)


def test_readiness_kpis_describe_this_moment(fleet_world: World, gold: psycopg.Connection) -> None:
    """The stand-in's clock is fixed in the past, so every fix is stale."""
    row = gold.execute(
        "select fresh_count, stale_count, never_reported_count, newest_fix_age_min::float,"
        " last_sweep_age_min::float from dwh_gold.kpi_readiness_now where scope = 'fleet'"
    ).fetchone()
    fixes = [fix for imei in fleet_world.devices if (fix := fleet_world.last_fix(imei))]
    assert row[:3] == (0, len(fixes), len(fleet_world.devices) - len(fixes))
    age_min = (datetime.now(UTC).timestamp() - max(fix.at for fix in fixes)) / 60
    assert row[3] == pytest.approx(age_min, abs=1)
    sweeps = gold.execute(
        "select max(started_at) from raw.api_calls"
        " where method = 'jimi.user.device.location.list' and code = '0'"
    ).fetchone()
    swept_min = (datetime.now(UTC) - sweeps[0]).total_seconds() / 60
    assert row[4] == pytest.approx(swept_min, abs=1)
