"""A stack that can be hurt, for test_chaos, and all the ways in which it is."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from sandbox import Fault, Sandbox
from settings import ROOT
from warehouse.database import LOADER_ROLE
from warehouse.embedded import EmbeddedServer, embedded_url, pg_ctl

IS_LONG = "CHAOS" in os.environ
ROUNDS = int(os.environ.get("CHAOS", "1"))
PATIENCE_S = 240
# Loads that a build has taken, and all there are: in a hurry most of them are sweeps.
LOADS = """
    select
        (
            select count(*)
            from tracksolid.offered_loads as offered, tracksolid.claims as claim
            where claim.model = 'position_history' and offered.build_id <= claim.build_id
        ),
        (select count(distinct load_id) from raw._dlt_loads where status = 0)
"""
DATABASE_UNREACHABLE = "database unreachable|leader lock lost"
NO_RIGHT = "permission denied for table location_list"
# PostgreSQL itself stops when it is its journal that finds no room.
FULL = f"No space left|{DATABASE_UNREACHABLE}"
COPYING = "select 1 from pg_stat_activity where query ilike 'copy%' and state = 'active'"


def seconds(short: float, long: float) -> float:
    return long if IS_LONG else short


class Stack:
    """What docker-compose.yaml keeps up: the database and two orchestrators."""

    def __init__(self, folder: Path, api: Sandbox, server: EmbeddedServer) -> None:
        self.folder, self.api, self.server = folder, api, server
        self.database = embedded_url(server).sibling("chaos")
        self.clock = folder / "clock"
        self.work_dir = folder / "work"
        self.work_dir.mkdir(exist_ok=True)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = folder / "log"
        self._environment = (
            {"PATH": os.environ["PATH"], "DATABASE_URL": self.database.url}
            | {"WORK_DIR": str(self.work_dir), "SPOOL_PATH": str(folder / "spool.sqlite")}
            | {"TRACKSOLID_CALLS_PER_SECOND": "1000", "TRACKSOLID_BACKOFF_SECONDS": "0.05"}
            | {"CLOCK": str(self.clock), "PYTHONPATH": f"{ROOT}"}
            | api.environment
        )
        self._over = threading.Event()
        self._policy = threading.Thread(target=self._restart)

    def __enter__(self) -> "Stack":
        self.processes = [self._start(), self._start()]
        self._policy.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._policy.join()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with self.log.open("a") as said:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "hurried.py")],
                env=self._environment | {"ORCHESTRATOR_PORT": str(port)},
                stderr=said,
            )

    def _restart(self) -> None:
        """`restart: unless-stopped`."""
        while not self._over.wait(0.2):
            for number, process in enumerate(self.processes):
                if process.poll() is not None:
                    self.processes[number] = self._start()

    def leader(self) -> psutil.Process | None:
        """The process that holds the lock, by its connection to the database."""
        with self.connect() as connection:
            row = connection.execute(
                "select activity.client_port from pg_locks inner join pg_stat_activity as activity"
                " using (pid) where locktype = 'advisory' and granted"
                " and objid::bigint = hashtext('fireside orchestrator')::bigint & 4294967295"
            ).fetchone()
        for process in self.processes:
            known = psutil.Process(process.pid)
            if row and any(c.laddr.port == row[0] for c in known.net_connections()):
                return known
        return None

    def dbt(self) -> psutil.Process | None:
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    if "dbt" in " ".join(child.cmdline()):
                        return child
        return None

    def connect(self) -> psycopg.Connection:
        return self.database.connect()

    def execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement.encode())

    def loads(self) -> tuple[int, int]:
        """(taken by a build, landed); zeros while the database does not say."""
        try:
            with self.connect() as connection:
                row = connection.execute(LOADS.encode()).fetchone()
        except psycopg.Error:
            return 0, 0
        assert row is not None
        return row

    def said(self, since: int = 0) -> str:
        return self.log.read_bytes()[since:].decode()

    def step_the_clock(self, ahead_s: float) -> None:
        self.clock.write_text(str(ahead_s))
        for process in self.processes:
            process.send_signal(signal.SIGUSR1)


def wait_for(what: Callable[[], object], why: str, stack: Stack, every_s: float = 0.1) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, f"{why}, in vain:\n{stack.said()[-6000:]}"
        time.sleep(every_s)


@contextmanager
def all_connections(stack: Stack) -> Iterator[None]:
    with ExitStack() as held:
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(stack.connect())
        yield


def the_leader(stack: Stack) -> psutil.Process:
    wait_for(stack.leader, "for a leader", stack)
    leader = stack.leader()
    assert leader is not None
    return leader


def kill_leader(stack: Stack) -> None:
    the_leader(stack).kill()


def kill_dbt(stack: Stack) -> None:
    begin = stack.log.stat().st_size

    def is_hit() -> bool:
        with suppress(psutil.NoSuchProcess):
            if found := stack.dbt():
                found.kill()
        return "killed by signal 9" in stack.said(begin)

    wait_for(is_hit, "for a build to kill", stack)


def kill_backend(stack: Stack) -> None:
    """PostgreSQL then ends all of its processes and recovers."""
    with stack.connect() as connection:
        row = connection.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() limit 1"
        ).fetchone()
    assert row is not None
    os.kill(row[0], signal.SIGKILL)


def kill_postgres(stack: Stack) -> None:
    postmaster = psutil.Process(stack.server.get_pid())
    children = postmaster.children()
    postmaster.kill()
    psutil.wait_procs([postmaster, *children], timeout=30)
    stack.server.ensure_postgres_running()


def freeze_leader(stack: Stack) -> None:
    leader = the_leader(stack)
    leader.suspend()
    time.sleep(seconds(5, 30))
    leader.resume()


def stop(stack: Stack, mode: str) -> None:
    pg_ctl(["-w", "-m", mode, "stop"], pgdata=stack.server.pgdata, user=stack.server.system_user)


def stop_postgres(stack: Stack) -> None:
    stop(stack, "fast")
    time.sleep(seconds(5, 180))
    stack.server.ensure_postgres_running()


def stop_amid_copy(stack: Stack) -> None:
    with stack.connect() as connection:
        wait_for(lambda: connection.execute(COPYING).fetchone(), "for a COPY", stack, 0.001)
    stop(stack, "immediate")
    stack.server.ensure_postgres_running()


def use_up_connections(stack: Stack) -> None:
    with all_connections(stack):
        time.sleep(seconds(5, 60))


def end_backends(stack: Stack) -> None:
    stack.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
        " and datname = current_database()"
    )


def lock_raw(stack: Stack) -> None:
    with stack.connect() as connection, connection.transaction():
        connection.execute("lock table raw.location_list, raw.api_calls")
        time.sleep(seconds(5, 60))


def drop_raw(stack: Stack) -> None:
    stack.execute("drop table raw.alarm_list cascade")


def drop_calls(stack: Stack) -> None:
    """From which the loader knows what it has asked for."""
    stack.execute("drop table raw.api_calls cascade")


def revoke(stack: Stack) -> None:
    begin = stack.log.stat().st_size
    stack.execute(f"revoke insert on raw.location_list from {LOADER_ROLE}")
    # dlt alone tries five times, so that a short loss is over before anybody is told.
    wait_for(lambda: NO_RIGHT in stack.said(begin), "for a refusal", stack)
    time.sleep(seconds(0, 60))
    stack.execute(f"grant insert on raw.location_list to {LOADER_ROLE}")


def clock_forward_and_back(stack: Stack) -> None:
    for ahead in (600, 0):
        stack.step_the_clock(ahead)
        time.sleep(seconds(4, 30))


def sleep_of_two_hours(stack: Stack) -> None:
    """Two hours behind, and then not: with all connections gone that is what waking up is."""
    stack.step_the_clock(-7200)
    time.sleep(seconds(4, 30))
    leader = the_leader(stack)
    leader.suspend()
    end_backends(stack)
    leader.resume()
    stack.step_the_clock(0)


def api_down(stack: Stack) -> None:
    stack.api.misbehave("*", Fault.RESET, rate=1.0)
    time.sleep(seconds(6, 300))
    stack.api.clear()


def full_disk(stack: Stack, folder: Path) -> None:
    """To the last byte, for a while."""
    begin = stack.log.stat().st_size
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", 0) as file:
        while True:
            file.write(bytes(1 << 16))
    with suppress(OSError), filler.open("ab") as file:
        os.write(file.fileno(), bytes(1 << 12))
    wait_for(lambda: re.search(FULL, stack.said(begin)), "for a full disk", stack)
    time.sleep(seconds(0, 60))
    filler.unlink(missing_ok=True)


def full_work_dir(stack: Stack) -> None:
    full_disk(stack, stack.work_dir)


def full_database(stack: Stack) -> None:
    full_disk(stack, stack.server.pgdata.parent)
    stack.server.ensure_postgres_running()


@dataclass(frozen=True)
class Trouble:
    """A fault: how it comes and goes, and what a line of the log must say of it."""

    strike: Callable[[Stack], None]
    line: str
    needs_disk: bool = False
    is_short: bool = False  # part of make test


# Of what is over without a failure there is nothing to tell.
TROUBLES = [
    Trouble(kill_leader, '"became leader"', is_short=True),
    Trouble(kill_dbt, "killed by signal 9", is_short=True),
    Trouble(kill_backend, DATABASE_UNREACHABLE),
    Trouble(kill_postgres, DATABASE_UNREACHABLE, is_short=True),
    Trouble(freeze_leader, ""),
    Trouble(stop_postgres, DATABASE_UNREACHABLE),
    Trouble(stop_amid_copy, DATABASE_UNREACHABLE, is_short=True),
    Trouble(use_up_connections, "too many clients|connection slots"),
    Trouble(end_backends, "leader lock lost"),
    Trouble(lock_raw, "", is_short=True),
    Trouble(drop_raw, "tables of raw are gone", is_short=True),
    Trouble(drop_calls, "tables of raw are gone", is_short=True),
    Trouble(revoke, NO_RIGHT),
    Trouble(clock_forward_and_back, "clock jumped", is_short=True),
    Trouble(sleep_of_two_hours, "clock jumped or host slept"),
    Trouble(api_down, "RemoteDisconnected|reset|Connection"),
    Trouble(full_work_dir, FULL, needs_disk=True, is_short=True),
    Trouble(full_database, FULL, needs_disk=True),
]
