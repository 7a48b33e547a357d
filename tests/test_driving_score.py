"""The driving score against the stand-in's truth, which knows every harsh manoeuvre."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from statistics import correlation, fmean

import pytest
from conftest import NOW, settings_for
from databases import Databases, build_untested
from fleets import spooled

from loader.drain import drain
from loader.landing import Landing
from loader.poll import Loader
from sandbox import Sandbox, World, fleet
from sandbox.instants import DAY, eat_bounds, eat_day
from sandbox.sent_pushes import pushes
from warehouse.database import Database

HARSH = {"41", "48", "144", "145"}
PRIMARY = "select vehicle_id, imei from dwh_gold.dim_vehicles where is_primary_device"
REPORTED = """
    select scope_value, day, harsh_driving_alarms_count
    from dwh_gold.kpi_driver_behaviour_daily where scope = 'vehicle'
"""
SCORES = """
    select scope_value, score::float from dwh_gold.driver_behaviour_ranking
    where scope = 'vehicle' and score is not null
"""


@pytest.fixture(scope="module")
def scored(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """80 vehicles, two with a dashcam as well; the alarms of the last day are polled and pushed."""
    database, work_dir = databases.with_raw(), tmp_path_factory.mktemp("work")
    world = fleet(days=7, now=NOW)
    with Sandbox(world, login_interval_seconds=0) as api:
        loader = Loader(settings_for(api, database, work_dir), database)
        loader.poll(["child_list", "device_list", "device_detail", "location_list"])
        start, end = (datetime.fromtimestamp(t, UTC) for t in (world.first, world.now()))
        loader.backfill(start, end + timedelta(seconds=1), ["track_mileage", "alarm_list"])
    pushed = pushes(world, world.now() - DAY, world.now())
    told_twice = spooled(message for message in pushed if message[0] == "/pushalarm")
    drain(told_twice, Landing(database, work_dir))
    build_untested(database, work_dir, "--select", "+driver_behaviour_ranking")
    return database


def test_the_score_tells_harsh_drivers(scored: Database) -> None:
    """The three figures: manoeuvres found, reports that are real, order of the vehicles."""
    world = fleet(days=7, now=NOW)
    with scored.connect() as gold:
        reported = Counter(dict(counts(gold.execute(REPORTED))))
        imeis = dict(gold.execute(PRIMARY).fetchall())
        scores = dict(gold.execute(SCORES).fetchall())
    real = Counter(
        (vehicle, eat_day(alarm.at))
        for vehicle, imei in imeis.items()
        for alarm in world.alarms(imei, world.first, world.now())
        if alarm.alarm_type in HARSH
    )
    both = (reported & real).total()
    found, true = both / real.total(), both / reported.total()
    rates = {vehicle: true_rates(world, imeis[vehicle]) for vehicle in scores}
    order = ranks(scores.values())
    orders = [-correlation(order, ranks(rate)) for rate in zip(*rates.values(), strict=True)]
    figures = f"{len(scores)} vehicles: {found=:.3f} {true=:.3f} {orders=}"
    assert len(scores) >= 75, figures
    assert min(found, true) >= 0.9, figures
    assert min(orders) >= 0.8, figures


def counts(rows: Iterable[tuple[str, date, int]]) -> Iterator[tuple[tuple[str, date], int]]:
    return (((vehicle, day), count) for vehicle, day, count in rows)


def ranks(values: Iterable[float]) -> list[float]:
    """Places in order; equal values share the mean of their places (Spearman)."""
    known = list(values)
    return [
        fmean(place for place, other in enumerate(sorted(known)) if other == value)
        for value in known
    ]


def true_rates(world: World, imei: str) -> tuple[float, float]:
    """Per km before today: harsh manoeuvres, and those with the times above the speed limit."""
    midnight = eat_bounds(eat_day(world.now()))[0] - 1
    raised = Counter(alarm.alarm_type for alarm in world.alarms(imei, world.first, midnight))
    km = sum(trip.distance_m for trip in world.trips(imei, world.first, midnight)) / 1000
    harsh = sum(raised[kind] for kind in HARSH)
    return harsh / km, (harsh + raised["overSpeed"]) / km
