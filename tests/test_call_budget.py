"""One budget for all calls of the process: bounded in rate and number, urgent calls first."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import NOW, settings_for
from sandbox_client import unanswered
from waiting import TIMEOUT_S, eventually

import loader.call_budget
from loader.call_budget import CallBudget, LoaderStopped
from loader.poll import Loader
from sandbox import Sandbox
from warehouse.database import Database

TRAIL = "jimi.device.track.list"
SWEEP = "jimi.user.device.location.list"
TO = datetime.fromtimestamp(NOW, UTC)


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
                    self._ends[name].wait(TIMEOUT_S)
            except LoaderStopped:
                self.stopped.append(name)

        threading.Thread(target=run, daemon=True).start()
        eventually(
            lambda: len(self.budget._queue) > waiting or len(self.began) > running,
            f"{name} to wait or to run",
        )

    def end(self, name: str) -> None:
        self._ends[name].set()


def test_urgent_calls_go_first_and_the_others_in_their_order() -> None:
    calls = Calls(CallBudget(10_000, 1, threading.Event()))
    calls.start("first")
    eventually(lambda: calls.began == ["first"], "the first call")
    for name in ("b", "c", "d"):
        calls.start(name)
    calls.start("sweep", urgent=True)
    expected = ["first", "sweep", "b", "c", "d"]
    for number, name in enumerate(expected, 1):
        eventually(lambda number=number: len(calls.began) == number, f"call {number}")
        calls.end(name)
    assert calls.began == expected


@pytest.mark.parametrize(("parallel", "others"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 7)])
def test_one_of_many_slots_is_kept_for_urgent_calls(parallel: int, others: int) -> None:
    """Else calls of minutes would fill all of them, and the sweep would wait for one to end."""
    calls = Calls(CallBudget(10_000, parallel, threading.Event()))
    for number in range(parallel + 2):
        calls.start(f"trail {number}")
    eventually(lambda: len(calls.began) == others, f"{others} calls at once")
    calls.start("sweep", urgent=True)
    if others < parallel:
        eventually(lambda: "sweep" in calls.began, "the sweep to run beside them")
    calls.start("another sweep", urgent=True)
    time.sleep(0.1)
    assert len(calls.began) == parallel


def test_the_rate_holds_for_urgent_and_other_calls_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock goes on only while a call waits for its turn."""
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(loader.call_budget, "time", SimpleNamespace(monotonic=lambda: now))
    budget = CallBudget(100, 50, threading.Event())
    monkeypatch.setattr(budget._changed, "wait", wait)
    for number in range(30):
        with budget.call(urgent=number % 2 == 0):
            assert now == pytest.approx(number / 100)


def test_stop_ends_all_waiting_and_no_call_begins_after_it() -> None:
    stopping = threading.Event()
    calls = Calls(CallBudget(10_000, 1, stopping))
    for name in ("first", "b", "c"):
        calls.start(name)
    stopping.set()
    eventually(lambda: sorted(calls.stopped) == ["b", "c"], "both that waited")
    calls.end("first")
    with pytest.raises(LoaderStopped), calls.budget.call(urgent=True):
        pass


def test_all_endpoints_share_one_limit_of_calls_at_once(
    loader: Loader, sandbox: Sandbox, database: Database, work_dir: Path
) -> None:
    """Three endpoints at once, each with more to ask than may be asked at once."""
    loader.poll(["child_list", "device_list"])
    most, at_once, lock = 0, 0, threading.Lock()
    is_full = threading.Event()
    outcome = sandbox._exchange

    def counted(params):
        nonlocal most, at_once
        with lock:
            at_once += 1
            most = max(most, at_once)
            if most == 3:
                is_full.set()
        is_full.wait(TIMEOUT_S)
        time.sleep(0.02)  # a fourth call could come now
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
    """The sweep is over while all calls for the trail that may run at once wait for answers."""
    loader.poll(["child_list", "device_list"])
    busy = Loader(settings_for(sandbox, database, work_dir, tracksolid_parallel_calls=4), database)
    trail = threading.Thread(
        target=busy.backfill, args=(TO - timedelta(days=1), TO, ["track_list"])
    )

    def asked(method: str) -> int:
        return sum(request.method == method for request in sandbox.requests)

    with unanswered(sandbox, TRAIL):
        trail.start()
        eventually(lambda: asked(TRAIL) == 3, "three calls for the trail")
        (summary,) = busy.poll(["location_list"])
        assert summary.errors == []
        assert asked(SWEEP) == summary.questions > 0
        assert asked(TRAIL) == 3
        busy.stop()
    trail.join()
