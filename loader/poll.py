"""From what raw lacks to calls, in parallel within the budget, and on to raw."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from threading import Thread

import structlog

from loader import coverage
from loader.ask import Answer, Ask, Window
from loader.batch import Batch
from loader.client import NOT_YOURS, TracksolidClient
from loader.endpoints import BATCH, LOCATION_GET, Endpoint, endpoints
from loader.http import Transport
from loader.landing import Landing
from loader.token import TokenCache
from settings import Settings
from warehouse.database import LOADER_ROLE, Database

log = structlog.get_logger()

LAND_RECORDS = 50_000  # bounds memory
LAND_SECONDS = 30.0  # bounds what a kill loses of a slow backfill
LOOK_S = 0.2  # how often it looks whether it shall stop
GRACE_S = 1.0  # after a stop: how long it waits for answers that are on their way
CLOCK_MARGIN = timedelta(seconds=5)  # end_time must be past (docs/TRACKSOLID_API.md#limits)

Progress = Callable[[str, int, int], None]  # endpoint, asks done, asks in all


class UnknownEndpoint(Exception):
    """A name on the command line that is no endpoint; the text lists those there are."""


@dataclass
class Summary:
    """What a poll of one endpoint did."""

    endpoint: str
    asks: int = 0
    calls: int = 0
    records: int = 0
    errors: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    seconds: float = 0.0


class Loader:
    """Polls endpoints into raw. Thread-safe; one per process, so that all share its call budget."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._root = settings.tracksolid_account
        self._workers = settings.tracksolid_parallel_calls
        self._database = database.acting_as(LOADER_ROLE)
        self._endpoints = endpoints(settings)
        self._transport = Transport(settings)
        tokens = TokenCache(settings, self._transport, self._database)
        self._client = TracksolidClient(settings, self._transport, tokens)
        self.landing = Landing(database, settings.work_dir)
        self.landing.prepare()

    @property
    def is_stopping(self) -> bool:
        """Was `stop` called?"""
        return self._transport.is_stopping

    def stop(self) -> None:
        """End the poll or backfill under way: land what has arrived, ask for nothing more.

        It returns within seconds, and its summaries count what was landed. Safe in a signal
        handler; there is no way back.
        """
        self._transport.stop()

    def choose(self, names: Iterable[str]) -> list[Endpoint]:
        """The endpoints with these names; without names, all. A table's name means its variants.

        Raises UnknownEndpoint.
        """
        names = list(names)
        known = {name for e in self._endpoints for name in (e.name, e.table)}
        for name in names:
            if name not in known:
                raise UnknownEndpoint(
                    f"no endpoint {name!r}; there are: {', '.join(sorted(known))}"
                )
        return [e for e in self._endpoints if not names or e.name in names or e.table in names]

    def poll(self, names: Iterable[str] = (), progress: Progress | None = None) -> list[Summary]:
        """Ask the endpoints for what raw does not hold yet; one summary for each.

        Takes names of endpoints or tables, none for all. Raises LoginRefused, LandingError,
        UnknownEndpoint; a call that fails is an error in its summary.
        """
        chosen = self.choose(names)
        registers = [e for e in chosen if e.table in ("child_list", "device_list")]
        if not registers and not self._devices():
            # The devices are not known yet: ask for them first.
            chosen = [*self.choose(["child_list", "device_list"]), *chosen]
        return [self._poll(endpoint, progress) for endpoint in chosen if not self.is_stopping]

    def locate(self, imeis: Sequence[str]) -> Summary:
        """FIX-M15: fetch the newest fix of these IMEIs now, 50 per call. Raises as poll does."""
        known = self._devices()
        accounts = {imei: known.get(imei, self._root) for imei in dict.fromkeys(imeis)}
        return self._fetch(LOCATION_GET, _batches(LOCATION_GET, accounts, {}), None)

    def backfill(
        self,
        start: datetime,
        end: datetime,
        names: Iterable[str] = (),
        imeis: Sequence[str] = (),
        progress: Progress | None = None,
        *,
        again: bool = False,
    ) -> list[Summary]:
        """Fetch [start, end) of every endpoint with a window, except for what raw holds already.

        `again` fetches covered windows once more, to pick up late data. Raises as poll does.
        """
        if not self._devices():
            self.poll(["child_list", "device_list"])
        end = min(end, _now())
        devices = self._devices()
        if imeis:
            devices = {imei: devices.get(imei, self._root) for imei in imeis}
        summaries = []
        for endpoint in self.choose(names):
            if endpoint.window and not self.is_stopping:
                found = {imei: [(start, end)] for imei in devices}
                if not again:
                    with self._database.connect() as connection:
                        found = coverage.gaps(connection, endpoint, list(devices), start, end)
                asks = _batches(endpoint, devices, found)
                summaries.append(self._fetch(endpoint, asks, progress))
        return summaries

    def _poll(self, endpoint: Endpoint, progress: Progress | None) -> Summary:
        if endpoint.table == "child_list":
            return self._walk(endpoint)
        return self._fetch(endpoint, self._due(endpoint), progress)

    def _walk(self, endpoint: Endpoint) -> Summary:
        """Ask for the children of every account, of theirs, and so on."""
        total = Summary(endpoint.name)
        asked: set[str] = set()
        tree = [self._root]
        while new := [account for account in tree if account not in asked]:
            if self.is_stopping:
                break
            asked.update(new)
            asks = [Ask(endpoint, account, (account,)) for account in new]
            level = self._fetch(endpoint, asks, None)
            total.asks += level.asks
            total.calls += level.calls
            total.records += level.records
            total.errors += level.errors
            total.seconds += level.seconds
            tree = self._accounts()
        return total

    def _due(self, endpoint: Endpoint) -> list[Ask]:
        accounts, devices = self._accounts(), self._devices()
        if endpoint.per == "account":
            below = defaultdict(set)
            for imei, account in devices.items():
                below[account].add(imei)
            return [
                Ask(endpoint, account, (account,), expected=frozenset(below[account]))
                for account in accounts
            ]
        if endpoint.of:
            with self._database.connect() as connection:
                found = coverage.values(connection, *endpoint.of)
            return [Ask(endpoint, account, (value,)) for value, account in found]
        windows: dict[str, list[Window]] = {}
        if endpoint.window:
            with self._database.connect() as connection:
                windows = coverage.due(connection, endpoint, list(devices), _now())
        return _batches(endpoint, devices, windows)

    def _fetch(self, endpoint: Endpoint, asks: list[Ask], progress: Progress | None) -> Summary:
        """Ask in parallel and land as answers come; the summary has what did not work."""
        began = landed_at = time.monotonic()
        summary = Summary(endpoint.name, asks=len(asks))
        batch = Batch()
        waiting, running = list(reversed(asks)), dict[Future[Answer], Answer]()
        done = 0
        try:
            while (waiting or running) and not self.is_stopping:
                while waiting and len(running) < 2 * self._workers:
                    future, answer = self._start(waiting.pop())
                    running[future] = answer
                for future in wait(running, LOOK_S, FIRST_COMPLETED).done:
                    del running[future]
                    answer = future.result()
                    batch.add(answer)
                    waiting += self._note(answer, summary)
                    done += 1
                if progress:
                    progress(endpoint.name, done, done + len(waiting) + len(running))
                late = time.monotonic() - landed_at > LAND_SECONDS
                if batch.records >= LAND_RECORDS or late:
                    self.landing.land(batch)
                    batch, landed_at = Batch(), time.monotonic()
            for answer in self._last_answers(running):
                batch.add(answer)
                self._note(answer, summary)
        finally:
            # Stopped by hand or by an error: what was answered is kept.
            for answer in running.values():
                answer.is_stopped = True
            self.landing.land(batch)
        summary.seconds = time.monotonic() - began
        return summary

    def _start(self, ask: Ask) -> tuple[Future[Answer], Answer]:
        """Ask in a thread. A daemon: an API that does not answer must not keep the process."""
        future, answer = Future[Answer](), Answer(ask)

        def run() -> None:
            try:
                future.set_result(self._client.ask(ask, answer))
            except Exception as error:
                future.set_exception(error)

        # What the log is bound to holds for the thread as well.
        Thread(target=copy_context().run, args=(run,), daemon=True).start()
        return future, answer

    def _last_answers(self, running: dict[Future[Answer], Answer]) -> Iterator[Answer]:
        """After a stop: what comes within the grace, and the pages of what does not."""
        finished = wait(running, GRACE_S).done
        for future, answer in running.items():
            if future not in finished:
                # Its thread may still add to the lists.
                yield replace(
                    answer, pages=list(answer.pages), failed=list(answer.failed), is_stopped=True
                )
            elif future.exception() is None:
                yield answer

    def _note(self, answer: Answer, summary: Summary) -> list[Ask]:
        """Count an answer; returns the smaller questions to ask if this one was too large."""
        summary.calls += len(answer.pages) + len(answer.failed)
        summary.records += sum(len(page.records) for page in answer.pages)
        if answer.is_stopped:
            return []
        if answer.is_cut and (halves := answer.ask.halves()):
            return halves
        if answer.refused == NOT_YOURS and len(answer.ask.imeis) > 1:
            # One foreign device fails a whole call: ask for the others without it.
            return answer.ask.halves()
        if answer.error:
            summary.errors.append(answer.error)
        elif answer.is_cut:
            summary.errors.append(f"{answer.ask}: more rows than one query can give")
        else:
            summary.missing.update(answer.pages[-1].call.missing)
        return []

    def _accounts(self) -> list[str]:
        with self._database.connect() as connection:
            return coverage.accounts(connection, self._root)

    def _devices(self) -> dict[str, str]:
        with self._database.connect() as connection:
            return coverage.devices(connection, coverage.accounts(connection, self._root))


def _batches(
    endpoint: Endpoint, devices: dict[str, str], windows: dict[str, list[Window]]
) -> list[Ask]:
    """Questions about devices: those of one account with the same windows go together."""
    alike: dict[tuple[str, Window | None], list[str]] = defaultdict(list)
    for imei, account in sorted(devices.items()):
        spans: list[Window | None] = [None]
        if endpoint.window:
            spans = [*_pieces(windows.get(imei, []), endpoint.longest)]
        for span in spans:
            alike[account, span].append(imei)
    size = BATCH if endpoint.per == "batch" else 1
    asks = []
    for (account, span), imeis in alike.items():
        for at in range(0, len(imeis), size):
            chunk = tuple(imeis[at : at + size])
            expected = frozenset(chunk) if endpoint.answers_each else frozenset()
            asks.append(Ask(endpoint, account, chunk, span, expected))
    return asks


def _pieces(spans: list[Window], longest: timedelta) -> list[Window]:
    """The spans, cut where they are longer than one call may ask for."""
    pieces = []
    for start, end in spans:
        cuts = range(ceil((end - start) / longest))
        pieces += [(start + n * longest, min(end, start + (n + 1) * longest)) for n in cuts]
    return pieces


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - CLOCK_MARGIN
