"""For test_chaos: a stack of database and orchestrators, and the faults injected into it."""

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
from waiting import eventually

from sandbox import Fault, Sandbox
from settings import ROOT
from warehouse.database import LOADER_ROLE
from warehouse.embedded import EmbeddedServer, embedded_url, pg_ctl

IS_LONG = "CHAOS" in os.environ
ROUNDS = int(os.environ.get("CHAOS", "1"))
# Counts of loads that a build has read, and of all complete loads; most are sweeps.
LOADS = """
    select
        (
            select count(*)
            from tracksolid.offered_loads as offered, tracksolid.claims as claim
            where claim.model = 'position_history' and offered.build_id <= claim.build_id
        ),
        (select count(distinct load_id) from raw.complete_loads)
"""
DATABASE_UNREACHABLE = "database unreachable|leader lock lost"
CLOCK_JUMPED = "clock jumped or host slept"
NO_PERMISSION = "permission denied for table location_list"
# If its write-ahead log has no space, PostgreSQL itself stops.
DISK_FULL = f"No space left|{DATABASE_UNREACHABLE}"
COPYING = "select 1 from pg_stat_activity where query ilike 'copy%' and state = 'active'"


def seconds(short: float, long: float) -> float:
    return long if IS_LONG else short


class Stack:
    """A database and two orchestrators that are restarted when they end, as in production."""

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
        self._is_over = threading.Event()
        self._restarter = threading.Thread(target=self._restart)

    def __enter__(self) -> "Stack":
        self.processes = [self._start(), self._start()]
        self._restarter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._restarter.join()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with self.log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "fast_orchestrator.py")],
                env=self._environment | {"ORCHESTRATOR_PORT": str(port)},
                stderr=log,
            )

    def _restart(self) -> None:
        """Start ended processes again, as `restart: unless-stopped` does."""
        while not self._is_over.wait(0.2):
            for number, process in enumerate(self.processes):
                if process.poll() is not None:
                    self.processes[number] = self._start()

    def leader(self) -> psutil.Process | None:
        """The process whose database connection holds the leader lock."""
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
        """(loads read by a build, complete loads); zeros while the database is down."""
        try:
            with self.connect() as connection:
                row = connection.execute(LOADS.encode()).fetchone()
        except psycopg.Error:
            return 0, 0
        assert row is not None
        return row

    def log_text(self, since: int = 0) -> str:
        return self.log.read_bytes()[since:].decode()

    def step_the_clock(self, ahead_s: float) -> None:
        self.clock.write_text(str(ahead_s))
        for process in self.processes:
            process.send_signal(signal.SIGUSR1)


def wait_for(what: Callable[[], object], why: str, stack: Stack, every_s: float = 0.1) -> None:
    eventually(what, why, every_s=every_s, context=lambda: stack.log_text()[-6000:])


@contextmanager
def all_connections(stack: Stack) -> Iterator[None]:
    """Hold all connections that the server allows."""
    with ExitStack() as held:
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(stack.connect())
        yield


def wait_for_leader(stack: Stack) -> psutil.Process:
    wait_for(stack.leader, "a leader", stack)
    leader = stack.leader()
    assert leader is not None
    return leader


def kill_leader(stack: Stack) -> None:
    wait_for_leader(stack).kill()


def kill_dbt(stack: Stack) -> None:
    begin = stack.log.stat().st_size

    def is_killed() -> bool:
        with suppress(psutil.NoSuchProcess):
            if found := stack.dbt():
                found.kill()
        return "killed by signal 9" in stack.log_text(begin)

    wait_for(is_killed, "a build to kill", stack)


def kill_backend(stack: Stack) -> None:
    """Kill one PostgreSQL session; the server then ends all sessions and recovers."""
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
    leader = wait_for_leader(stack)
    leader.suspend()
    time.sleep(seconds(5, 30))
    leader.resume()


def stop(stack: Stack, mode: str) -> None:
    pg_ctl(["-w", "-m", mode, "stop"], pgdata=stack.server.pgdata, user=stack.server.system_user)


def stop_postgres(stack: Stack) -> None:
    stop(stack, "fast")
    time.sleep(seconds(5, 180))
    stack.server.ensure_postgres_running()


def stop_postgres_during_copy(stack: Stack) -> None:
    with stack.connect() as connection:
        wait_for(lambda: connection.execute(COPYING).fetchone(), "a COPY", stack, 0.001)
    stop(stack, "immediate")
    stack.server.ensure_postgres_running()


def use_up_connections(stack: Stack) -> None:
    with all_connections(stack):
        time.sleep(seconds(5, 60))


def end_all_sessions(stack: Stack) -> None:
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


def drop_api_calls(stack: Stack) -> None:
    """Drop the table from which the loader knows which windows it has fetched."""
    stack.execute("drop table raw.api_calls cascade")


def revoke_insert(stack: Stack) -> None:
    begin = stack.log.stat().st_size
    stack.execute(f"revoke insert on raw.location_list from {LOADER_ROLE}")
    # dlt itself retries five times, so a short loss would not be reported at all.
    wait_for(lambda: NO_PERMISSION in stack.log_text(begin), "a permission error", stack)
    time.sleep(seconds(0, 60))
    stack.execute(f"grant insert on raw.location_list to {LOADER_ROLE}")


def clock_forward_and_back(stack: Stack) -> None:
    for ahead in (600, 0):
        stack.step_the_clock(ahead)
        time.sleep(seconds(4, 30))


def sleep_of_two_hours(stack: Stack) -> None:
    """Simulate a host that slept for two hours: a clock step, and all connections are lost."""
    stack.step_the_clock(-7200)
    time.sleep(seconds(4, 30))
    leader = wait_for_leader(stack)
    leader.suspend()
    end_all_sessions(stack)
    leader.resume()
    stack.step_the_clock(0)


def api_down(stack: Stack) -> None:
    stack.api.misbehave("*", Fault.RESET, rate=1.0)
    time.sleep(seconds(6, 300))
    stack.api.clear()


def full_disk(stack: Stack, folder: Path) -> None:
    """Fill the folder's disk to the last byte, wait for the error, then free it."""
    begin = stack.log.stat().st_size
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", 0) as file:
        while True:
            file.write(bytes(1 << 16))
    with suppress(OSError), filler.open("ab") as file:
        os.write(file.fileno(), bytes(1 << 12))
    wait_for(lambda: re.search(DISK_FULL, stack.log_text(begin)), "a full disk", stack)
    time.sleep(seconds(0, 60))
    filler.unlink(missing_ok=True)


def full_work_dir(stack: Stack) -> None:
    full_disk(stack, stack.work_dir)


def full_database(stack: Stack) -> None:
    full_disk(stack, stack.server.pgdata.parent)
    stack.server.ensure_postgres_running()


@dataclass(frozen=True)
class ServiceFault:
    """A fault: `strike` causes and ends it; a log line must match the pattern `line`."""

    strike: Callable[[Stack], None]
    line: str
    needs_disk: bool = False
    is_short: bool = False  # part of make test-long


# An empty pattern: the fault ends without a failure, so no line is required.
SERVICE_FAULTS = [
    ServiceFault(kill_leader, '"became leader"', is_short=True),
    ServiceFault(kill_dbt, "killed by signal 9", is_short=True),
    ServiceFault(kill_backend, DATABASE_UNREACHABLE),
    ServiceFault(kill_postgres, DATABASE_UNREACHABLE, is_short=True),
    ServiceFault(freeze_leader, ""),
    ServiceFault(stop_postgres, DATABASE_UNREACHABLE),
    ServiceFault(stop_postgres_during_copy, DATABASE_UNREACHABLE, is_short=True),
    ServiceFault(use_up_connections, "too many clients|connection slots"),
    ServiceFault(end_all_sessions, "leader lock lost"),
    ServiceFault(lock_raw, "", is_short=True),
    ServiceFault(drop_raw, "tables of raw are gone", is_short=True),
    ServiceFault(drop_api_calls, "tables of raw are gone", is_short=True),
    ServiceFault(revoke_insert, NO_PERMISSION),
    ServiceFault(clock_forward_and_back, CLOCK_JUMPED, is_short=True),
    ServiceFault(sleep_of_two_hours, CLOCK_JUMPED),
    ServiceFault(api_down, "RemoteDisconnected|reset|Connection"),
    ServiceFault(full_work_dir, DISK_FULL, needs_disk=True, is_short=True),
    ServiceFault(full_database, DISK_FULL, needs_disk=True),
]
