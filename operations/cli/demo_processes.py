"""Runs the two other processes of the demo: the webhook and a stand-in Tracksolid."""

import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests
from dotenv import dotenv_values

from settings import ROOT, Settings
from warehouse.database import Database, DatabaseError

START_TIMEOUT_S = 600  # the stand-in pushes a day first, one push after another


class StandIn:
    """Reads the stand-in's env file: settings to reach it, first and last instant of its data."""

    def __init__(self, env_file: Path) -> None:
        written = {name.lower(): value for name, value in dotenv_values(env_file).items()}
        # Arguments win over the environment, so the demo never calls a real account. The stand-in
        # has no rate limit.
        self.settings = Settings.model_validate(
            {name: value for name, value in written.items() if name.startswith("tracksolid_")}
            | {"tracksolid_calls_per_second": 1000, "tracksolid_backoff_seconds": 0.1}
        )
        self.first = datetime.fromisoformat(str(written["sandbox_first"]))
        self.last = datetime.fromisoformat(str(written["sandbox_last"]))


@dataclass(frozen=True)
class Receiver:
    """A running webhook: its address, its token and its spool file."""

    url: str
    token: str
    spool: Path


@contextmanager
def webhook(settings: Settings, database: Database) -> Iterator[Receiver]:
    """Run the webhook in a process of its own until the block ends; yields once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spool = settings.work_dir / f"{database.name}-spool.sqlite"
    hook = Receiver(f"http://127.0.0.1:{port}", secrets.token_urlsafe(), spool)
    environment = os.environ | {
        "WEBHOOK_TOKEN": hook.token,
        "WEBHOOK_PORT": str(port),
        "SPOOL_PATH": str(spool),
    }
    command = [sys.executable, "-m", "webhook"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait(process, command, lambda: _answers(f"{hook.url}/health"))
        yield hook
    finally:
        process.terminate()
        process.wait()


def _wait(
    process: subprocess.Popen[bytes], command: Sequence[str], is_ready: Callable[[], bool]
) -> None:
    """Wait until the process is ready. Raises DatabaseError if it ends or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None:
            raise DatabaseError(
                f"a process of the demo has ended: run {shlex.join(command)} to see why"
            )
        if time.monotonic() > deadline:
            raise DatabaseError(
                f"{shlex.join(command)} is not ready after {START_TIMEOUT_S} s: run the demo again"
            )
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


@contextmanager
def stand_in(
    settings: Settings, traces: Path | None, days: int, hook: Receiver
) -> Iterator[StandIn]:
    """Run a stand-in Tracksolid in a process of its own until the block ends.

    It serves `days` of a made-up fleet, or the recorded `traces`, and pushes to `hook`.
    """
    env_file = settings.work_dir / "sandbox.env"
    env_file.unlink(missing_ok=True)
    fleet = ["--traces", str(traces)] if traces else ["--profile", "fleet", "--days", str(days)]
    push = ["--push-to", hook.url, "--push-token", hook.token]
    command = [sys.executable, "-m", "sandbox", *fleet, *push, "--env-file", str(env_file)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _wait(process, command, env_file.exists)
        yield StandIn(env_file)
    finally:
        process.terminate()
        process.wait()
