"""The shared token: renewed once and in time, with at least a minute between logins."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import settings_for
from sandbox_client import unanswered
from waiting import eventually

import loader.token
from loader.http import LoginRefused, Transport, sign
from loader.token import TokenCache
from sandbox import Fault, Fleet, Sandbox
from warehouse.database import Database

GET, REFRESH = "jimi.oauth.token.get", "jimi.oauth.token.refresh"
OLDER = """
    update tracksolid.api_token_cache
    set obtained_at = obtained_at - interval '115 minutes',
    expires_at = expires_at - interval '115 minutes'
"""
Make = Callable[[Sandbox], TokenCache]


class FakeClock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tokens(database: Database, work_dir: Path) -> Make:
    """Makes token caches that share only the database, as those of separate processes do."""

    def make(sandbox: Sandbox, **more: object) -> TokenCache:
        settings = settings_for(sandbox, database, work_dir, **more)
        return TokenCache(settings, Transport(settings), database)

    return make


def calls(sandbox: Sandbox, method: str) -> int:
    return sum(request.method == method for request in sandbox.requests)


def test_concurrent_threads_renew_the_token_once(
    world: Fleet, tokens: Make, database: Database
) -> None:
    with Sandbox(world, token_life_seconds=7200) as api:
        holders = [tokens(api) for _ in range(4)]
        with ThreadPoolExecutor(16) as pool:
            first = set(pool.map(lambda n: holders[n % 4].current(), range(64)))
            assert (len(first), calls(api, GET), calls(api, REFRESH)) == (1, 1, 0)
            with database.connect() as connection:  # five minutes of two hours are left
                connection.execute(OLDER)
            for holder in holders:
                holder._token = None
            second = set(pool.map(lambda n: holders[n % 4].current(), range(64)))
        assert (len(second), calls(api, GET), calls(api, REFRESH)) == (1, 1, 1)
        assert first != second


def test_rejected_token_is_replaced_once(sandbox: Sandbox, tokens: Make) -> None:
    holders = [tokens(sandbox) for _ in range(4)]
    bad = holders[0].current()
    with ThreadPoolExecutor(16) as pool:
        fresh = set(pool.map(lambda n: holders[n % 4].current(rejected=bad), range(64)))
    assert len(fresh) == 1
    assert bad not in fresh
    assert calls(sandbox, REFRESH) == 1


def test_refused_refresh_leads_to_a_login(
    sandbox: Sandbox, tokens: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader.token, "LOGIN_GAP", timedelta())
    old = tokens(sandbox).current()
    with database.connect() as connection:
        connection.execute("update tracksolid.api_token_cache set refresh_token = 'worn out'")
    assert tokens(sandbox).current(rejected=old) != old
    assert (calls(sandbox, REFRESH), calls(sandbox, GET)) == (1, 2)


def test_logins_are_at_least_a_minute_apart(
    world: Fleet, tokens: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in answers 1006 to a login that is too early; the gap is one second here.

    The first login is slow, and the time at which the API got it is unknown, so the gap starts when
    it ends.
    """
    monkeypatch.setattr(loader.token, "LOGIN_GAP", timedelta(seconds=1))
    with Sandbox(world, login_interval_seconds=1) as strict:
        strict.misbehave(GET, Fault.STALL, seconds=0.6)
        for _ in range(3):
            tokens(strict).current()
            with database.connect() as connection:
                connection.execute("update tracksolid.api_token_cache set access_token = null")
        times = [request.at for request in strict.requests if request.method == GET]
    assert len(times) == 3
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] >= 1.6
    assert gaps[1] >= 1


def test_killed_renewer_does_not_block_others(
    sandbox: Sandbox, tokens: Make, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute(
            "insert into tracksolid.api_token_cache (account, app_key, renewing_until)"
            " values (%s, %s, now() + interval '1 second')",
            [sandbox.account, sandbox.app_key],
        )
    assert tokens(sandbox).current()


def test_lease_covers_a_refresh_and_a_login_together(
    sandbox: Sandbox, tokens: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken again before the login, so a second process does not log in too."""
    monkeypatch.setattr(loader.token, "LOGIN_GAP", timedelta())
    old = tokens(sandbox).current()
    with database.connect() as connection, ThreadPoolExecutor(2) as pool:
        connection.execute("update tracksolid.api_token_cache set refresh_token = 'worn out'")

        def lease() -> datetime:
            row = connection.execute("select renewing_until from tracksolid.api_token_cache")
            return row.fetchone()[0]

        with unanswered(sandbox, GET):
            with unanswered(sandbox, REFRESH):
                found = [pool.submit(tokens(sandbox).current, rejected=old) for _ in range(2)]
                eventually(lambda: calls(sandbox, REFRESH), "the refresh to reach the API")
                of_the_refresh = lease()
            eventually(lambda: calls(sandbox, GET) > 1, "the login to reach the API")
            assert lease() > of_the_refresh
    assert len({each.result() for each in found}) == 1
    assert (calls(sandbox, REFRESH), calls(sandbox, GET)) == (1, 2)


def test_slow_process_leaves_the_lease_that_another_took(
    sandbox: Sandbox, tokens: Make, database: Database
) -> None:
    slow = threading.Thread(target=tokens(sandbox).current)
    lease = "select renewing_until::text from tracksolid.api_token_cache"
    with database.connect() as connection:
        with unanswered(sandbox, GET):
            slow.start()
            eventually(lambda: calls(sandbox, GET), "the login to reach the API")
            connection.execute(
                "update tracksolid.api_token_cache set renewing_until = now() + interval '1 hour'"
            )
            taken = connection.execute(lease.encode()).fetchone()
        slow.join()
        assert connection.execute(lease.encode()).fetchone() == taken


def test_no_database_connection_is_held_while_the_api_is_slow(
    sandbox: Sandbox, tokens: Make, database: Database
) -> None:
    waiting = threading.Thread(target=tokens(sandbox).current)
    others = (
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    with unanswered(sandbox, GET):
        waiting.start()
        eventually(lambda: calls(sandbox, GET), "the login to reach the API")
        with database.connect() as connection:  # the server ends a session a moment after it
            eventually(
                lambda: connection.execute(others.encode()).fetchone() == (0,), "no other session"
            )
        assert waiting.is_alive()
    waiting.join()


def test_refused_login_is_reported_and_retried_with_backoff(
    sandbox: Sandbox, tokens: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader.token, "LOGIN_GAP", timedelta())
    clock = FakeClock()
    monkeypatch.setattr(loader.token, "time", SimpleNamespace(monotonic=clock, sleep=time.sleep))
    holder = tokens(sandbox, tracksolid_password_md5="f" * 32)
    logins = []
    for _ in range(100):  # half a minute apart, for 50 minutes
        with pytest.raises(LoginRefused, match="check TRACKSOLID_ACCOUNT"):
            holder.current()
        logins.append(calls(sandbox, GET))
        clock.now += 30
    tried_at = [30 * logins.index(number) for number in range(1, logins[-1] + 1)]
    assert tried_at == [0, 60, 180, 420, 900, 1800, 2700]

    clock.now += 900
    sandbox.credentials.password_md5 = "f" * 32  # the account has our password again
    assert holder.current()


def test_signatures_match_the_reference_vectors() -> None:
    parameters = {
        "app_key": "SAMPLEKEY",
        "access_token": "00000000000000000000000000000001",
        "format": "json",
        "method": "jimi.device.location.get",
        "sign_method": "md5",
        "timestamp": "2026-03-02 09:30:00",
        "v": "1.0",
        "imeis": "860000000000017,860000000000025",
        "map_type": "",
    }
    assert sign(parameters, "SAMPLESECRET") == "F001B78CCAA82236B5F921649CCF24C4"
