"""Polls the API: finds out what is missing in raw, asks for it and lands the answers."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from loader import coverage, newest_answers
from loader.client import TracksolidClient
from loader.endpoints import LOCATION_GET, Endpoint, endpoints
from loader.fetcher import Fetcher, Progress, Summary
from loader.http import Transport
from loader.landing import Landing
from loader.question import Question, Window
from loader.question_batches import question_batches
from loader.token import TokenCache
from settings import Settings
from warehouse.database import LOADER_ROLE, Database

CLOCK_MARGIN = timedelta(seconds=5)  # end_time must be past (docs/TRACKSOLID_API.md#limits)


class UnknownEndpoint(Exception):
    """A name is no endpoint and no table; the text lists all names that are valid."""


class Loader:
    """Polls endpoints into raw. Thread-safe. One per process, because it has the call budget."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Create the tables of raw that are missing. Raises LandingError."""
        self._root = settings.tracksolid_account
        self._database = database.acting_as(LOADER_ROLE)
        self._endpoints = endpoints(settings)
        self._transport = Transport(settings)
        tokens = TokenCache(settings, self._transport, self._database)
        client = TracksolidClient(settings, self._transport, tokens)
        self.landing = Landing(database, settings.work_dir)
        self.landing.prepare()
        workers = settings.tracksolid_parallel_calls
        self._fetcher = Fetcher(client, self._transport, self.landing, workers)

    @property
    def is_stopping(self) -> bool:
        """True after `stop`."""
        return self._transport.is_stopping

    def stop(self) -> None:
        """Stop the running poll or backfill: land what has arrived and make no further call.

        The poll returns within seconds, and its summaries count what was landed. Safe in a signal
        handler. A stopped loader cannot be started again.
        """
        self._transport.stop()

    def choose(self, names: Iterable[str]) -> list[Endpoint]:
        """The endpoints with these names; all if there are no names.

        The name of a table means all endpoints that fill it. Raises UnknownEndpoint.
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
        """Fetch what is missing of these endpoints, chosen as in `choose`; one summary for each.

        A question that fails is an error in the summary. Raises LoginRefused, LandingError,
        UnknownEndpoint.
        """
        chosen = self.choose(names)
        registers = [e for e in chosen if e.table in ("child_list", "device_list")]
        if not registers and not self._devices():
            # No device is known yet, so the device lists come first.
            chosen = [*self.choose(["child_list", "device_list"]), *chosen]
        return [self._poll(endpoint, progress) for endpoint in chosen if not self.is_stopping]

    def locate(self, imeis: Sequence[str]) -> Summary:
        """FIX-M15: fetch the newest fix of these IMEIs now, 50 per call. Raises as `poll` does."""
        known = self._devices()
        accounts = {imei: known.get(imei, self._root) for imei in dict.fromkeys(imeis)}
        questions = question_batches(LOCATION_GET, accounts, {})
        return self._fetcher.fetch(LOCATION_GET.name, questions)

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
        """Fetch what is missing of [start, end) from endpoints with a window; one summary for each.

        `names` chooses endpoints as in `choose`, `imeis` devices; empty means all. `again` fetches
        covered windows once more, to pick up late data. Raises as `poll` does.
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
                windows = {imei: [(start, end)] for imei in devices}
                if not again:
                    with self._database.connect() as connection:
                        windows = coverage.gaps(connection, endpoint, list(devices), start, end)
                questions = question_batches(endpoint, devices, windows)
                summaries.append(self._fetcher.fetch(endpoint.name, questions, progress))
        return summaries

    def _poll(self, endpoint: Endpoint, progress: Progress | None) -> Summary:
        if endpoint.table == "child_list":
            return self._poll_account_tree(endpoint)
        return self._fetcher.fetch(endpoint.name, self._due_questions(endpoint), progress)

    def _poll_account_tree(self, endpoint: Endpoint) -> Summary:
        """Ask for the accounts below the root, then for those below them, and so on."""
        total = Summary(endpoint.name)
        asked: set[str] = set()
        tree = [self._root]
        while new := [account for account in tree if account not in asked]:
            if self.is_stopping:
                break
            asked.update(new)
            questions = [Question(endpoint, account, (account,)) for account in new]
            level = self._fetcher.fetch(endpoint.name, questions)
            total.questions += level.questions
            total.calls += level.calls
            total.records += level.records
            total.errors += level.errors
            total.seconds += level.seconds
            tree = self._accounts()
        return total

    def _due_questions(self, endpoint: Endpoint) -> list[Question]:
        """The questions of a poll that is due now."""
        accounts, devices = self._accounts(), self._devices()
        if endpoint.per == "account":
            imeis_of = defaultdict(set)
            for imei, account in devices.items():
                imeis_of[account].add(imei)
            return [
                Question(endpoint, account, (account,), expected=frozenset(imeis_of[account]))
                for account in accounts
            ]
        if endpoint.values_from:
            with self._database.connect() as connection:
                found = newest_answers.values(connection, *endpoint.values_from)
            return [Question(endpoint, account, (value,)) for value, account in found]
        windows: dict[str, list[Window]] = {}
        if endpoint.window:
            with self._database.connect() as connection:
                windows = coverage.due(connection, endpoint, list(devices), _now())
        return question_batches(endpoint, devices, windows)

    def _accounts(self) -> list[str]:
        with self._database.connect() as connection:
            return newest_answers.accounts(connection, self._root)

    def _devices(self) -> dict[str, str]:
        with self._database.connect() as connection:
            tree = newest_answers.accounts(connection, self._root)
            return newest_answers.devices(connection, tree)


def _now() -> datetime:
    """The end of the newest window that can be asked for, in whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0) - CLOCK_MARGIN
