"""One budget for all calls of the process: bounded in rate and number, urgent calls first."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import NOW, settings_for

from loader.call_budget import CallBudget, LoaderStopped
from loader.poll import Loader
from sandbox import Fault, Sandbox
from warehouse.database import Database

TRAIL = "jimi.device.track.list"
SWEEP = "jimi.user.device.location.list"
TO = datetime.fromtimestamp(NOW, UTC)
WAIT_S = 30


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        time.sleep(0.005)


class Calls:
    """Calls in threads of their own, each running until the test ends it."""

    def __init__(self, budget: CallBudget) -> None:
        self.budget = budget
        self.began: list[str] = []
        self.stopped: list[str] = []
        self._ends: dict[str, threading.Event] = {}

    def start(self, name: str, *, urgent: bool = False) -> None:
        self._ends[name] = threading.Event()
        waiting = len(self.budget._queue)
        running = len(self.began)

        def run() -> None:
            try:
                with self.budget.call(urgent=urgent):
                    self.began.append(name)
                    self._ends[name].wait(WAIT_S)
            except LoaderStopped:
                self.stopped.append(name)

        threading.Thread(target=run, daemon=True).start()
        until(
            lambda: len(self.budget._queue) > waiting or len(self.began) > running,
            f"{name} to wait or to run",
        )

    def end(self, name: str) -> None:
        self._ends[name].set()


def test_urgent_calls_go_first_and_the_others_in_their_order() -> None:
    calls = Calls(CallBudget(10_000, 1, threading.Event()))
    calls.start("first")
    until(lambda: calls.began == ["first"], "the first call")
    for name in ("b", "c", "d"):
        calls.start(name)
    calls.start("sweep", urgent=True)
    expected = ["first", "sweep", "b", "c", "d"]
    for number, name in enumerate(expected, 1):
        until(lambda number=number: len(calls.began) == number, f"call {number}")
        calls.end(name)
    assert calls.began == expected


@pytest.mark.parametrize(("parallel", "others"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 7)])
def test_one_of_many_slots_is_kept_for_urgent_calls(parallel: int, others: int) -> None:
    """Else calls of minutes would fill all of them, and the sweep would wait for one to end."""
    calls = Calls(CallBudget(10_000, parallel, threading.Event()))
    for number in range(parallel + 2):
        calls.start(f"trail {number}")
    until(lambda: len(calls.began) == others, f"{others} calls at once")
    calls.start("sweep", urgent=True)
    if others < parallel:
        until(lambda: "sweep" in calls.began, "the sweep to run beside them")
    calls.start("another sweep", urgent=True)
    time.sleep(0.1)
    assert len(calls.began) == parallel


def test_the_rate_holds_for_urgent_and_other_calls_together() -> None:
    budget = CallBudget(100, 50, threading.Event())
    times: list[float] = []

    def call(urgent: bool) -> None:
        with budget.call(urgent=urgent):
            times.append(time.monotonic())

    threads = [threading.Thread(target=call, args=[n % 2 == 0]) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(times) - min(times) >= 0.9 * 29 / 100


def test_stop_ends_all_waiting_and_no_call_begins_after_it() -> None:
    stopping = threading.Event()
    calls = Calls(CallBudget(10_000, 1, stopping))
    for name in ("first", "b", "c"):
        calls.start(name)
    stopping.set()
    until(lambda: sorted(calls.stopped) == ["b", "c"], "both that waited")
    calls.end("first")
    with pytest.raises(LoaderStopped), calls.budget.call(urgent=True):
        pass


def test_all_endpoints_share_one_limit_of_calls_at_once(
    loader: Loader, sandbox: Sandbox, database: Database, work_dir: Path
) -> None:
    """Three endpoints at once, each with more to ask than may be asked at once."""
    loader.poll(["child_list", "device_list"])
    most, at_once, lock = 0, 0, threading.Lock()
    outcome = sandbox._exchange

    def counted(params):
        nonlocal most, at_once
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        try:
            return outcome(params)
        finally:
            with lock:
                at_once -= 1

    sandbox._server.exchange = counted
    shared = Loader(
        settings_for(sandbox, database, work_dir, tracksolid_parallel_calls=3), database
    )
    threads = [
        threading.Thread(
            target=shared.backfill, args=(TO - timedelta(days=1), TO, [name], list(imeis))
        )
        for name, imeis in [
            ("track_list", sandbox.world.devices),
            ("track_mileage", sandbox.world.devices),
            ("parking_report", sandbox.world.devices),
        ]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3


def test_sweep_does_not_wait_behind_other_endpoints(
    loader: Loader, sandbox: Sandbox, database: Database, work_dir: Path
) -> None:
    """The trail of 40 devices takes 20 seconds of the budget; the sweep's calls go before it."""
    loader.poll(["child_list", "device_list"])
    slow = Loader(
        settings_for(
            sandbox, database, work_dir,
            tracksolid_parallel_calls=40, tracksolid_calls_per_second=2,
        ),
        database,
    )  # fmt: skip
    sandbox.misbehave(TRAIL, Fault.STALL, rate=1.0, seconds=0.1)
    trail = threading.Thread(
        target=slow.backfill, args=(TO - timedelta(days=1), TO, ["track_list"])
    )
    trail.start()

    until(lambda: any(r.method == TRAIL for r in sandbox.requests), "a call for the trail")
    (summary,) = slow.poll(["location_list"])
    assert summary.errors == []
    methods = [request.method for request in sandbox.requests]
    last_sweep = len(methods) - methods[::-1].index(SWEEP)
    assert methods.count(SWEEP) == summary.questions
    # In the order of the requests, the sweep would come after all 40.
    assert methods[:last_sweep].count(TRAIL) < 20
    slow.stop()
    trail.join()
