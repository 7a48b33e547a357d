"""A minimal client of the sandbox, and a fleet with a fixed clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from typing import Any

import requests
from waiting import TIMEOUT_S

from sandbox import Sandbox, World, fleet, sign
from sandbox.instants import eat_bounds, instant, plain

NOW = instant(2026, 4, 10, 12)  # a Friday, 15:00 EAT
DAY_BEFORE = date(2026, 4, 9)
TRACK, MILEAGE = "jimi.device.track.list", "jimi.device.track.mileage"
ALARMS, PARKING = "jimi.device.alarm.list", "jimi.open.platform.report.parking"


class SandboxClient:
    """A minimal client: signs, logs in, posts."""

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
        return self.session.post(self.sandbox.url, data=form, timeout=TIMEOUT_S)

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


@contextmanager
def unanswered(sandbox: Sandbox, *methods: str) -> Iterator[None]:
    """Inside, calls of these methods reach the stand-in, which answers them at the end."""
    exchange, may_end = sandbox._server.exchange, threading.Event()

    def held(params: Mapping[str, str]) -> Any:
        outcome = exchange(params)
        if params.get("method") in methods:
            may_end.wait(TIMEOUT_S)
        return outcome

    sandbox._server.exchange = held
    try:
        yield
    finally:
        sandbox._server.exchange = exchange
        may_end.set()


@cache
def whole_fleet() -> World:
    return fleet(now=NOW)


def reporting_devices(world: World) -> list[str]:
    return [imei for imei in world.devices if world.last_fix(imei)]


def day_window(day: date) -> tuple[str, str]:
    start, end = eat_bounds(day)
    return plain(start), plain(end - 1)


def at(answer: Mapping[str, Any], place: str) -> Any:
    value: Any = answer
    for key in place.split("."):
        value = value[key]
    return value


def valid_parameters(client: SandboxClient, names: str) -> dict[str, object]:
    """Valid parameters by the names that a method requires."""
    start, end = day_window(DAY_BEFORE)
    imeis = reporting_devices(client.sandbox.world)[:20]
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


def all_rows(
    client: SandboxClient, method: str, place: str, **params: object
) -> list[dict[str, Any]]:
    """Every row of a report paged by start_row or page_no."""
    rows: list[dict[str, Any]] = []
    for page in range(200):
        paging = {"start_row": page * 100, "page_no": page + 1, "page_size": 100}
        found = at(client.call(method, **params, **paging), place) or []
        rows += found
        if len(found) < 100:
            return rows
    raise AssertionError("no end of pages")
