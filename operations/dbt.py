"""dbt as a subprocess, one at a time per database, with the database's own settings.

Who stops this process stops dbt, which then cleans up: SIGTERM and SIGINT reach it as one SIGINT.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType

from operations import history
from operations.database import DBT_ROLE, Database
from operations.dbt_commands import FAILED, SUCCEEDED
from settings import ROOT, Settings

PROJECT = ROOT / "dbt_fireside"
# A build with one of these leaves models as they were; tests may be left out.
SELECTING = {"-s", "--select", "-m", "--models", "--exclude", "--selector", "--resource-type"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")
STEP = re.compile(r"\b(\d+) of (\d+)\b")
SESSIONS = "fireside dbt"  # name of dbt's sessions in pg_stat_activity
# dbt in a terminal of its own would outlive a parent that is killed.
WITH_PARENT = (setpriv, "--pdeathsig", "INT") if (setpriv := shutil.which("setpriv")) else ()
ORPHANS = """
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and application_name = %s
"""

_running: set[subprocess.Popen[str]] = set()
_kept: ContextVar[subprocess.Popen[str] | None] = ContextVar("kept", default=None)


class DbtFailed(Exception):
    """dbt stopped with an error; the text holds the end of what it said."""


class DbtInterrupted(DbtFailed):
    """dbt was asked to stop and did; what it had not committed is as it was."""


def environment(settings: Settings, database: Database) -> dict[str, str]:
    """What dbt, and sqlfluff's dbt templater, need to know."""
    return (
        os.environ
        | database.acting_as(DBT_ROLE).environment()
        | {
            "DBT_PROJECT_DIR": str(PROJECT),
            "DBT_PROFILES_DIR": str(PROJECT),
            "DBT_TARGET_PATH": str(target(settings, database)),
            "DBT_LOG_PATH": str(target(settings, database)),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
    )


def target(settings: Settings, database: Database) -> Path:
    """Where dbt puts its artifacts: a folder per database, as partial parsing is per database."""
    return settings.work_dir / "dbt" / database.name


def state(settings: Settings, database: Database) -> Path:
    """The folder with the manifest.json of the last build of everything: what gold is made of."""
    return target(settings, database) / "state"


def run(
    settings: Settings,
    database: Database,
    arguments: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run `dbt ARGUMENTS` alone; with `progress` silently, telling (step, of how many).

    What a build, a run or a freshness check did is appended to dwh_gold.dbt_run_history.
    Raises DbtFailed if it exits with an error.
    """
    _refuse_to_forget(settings, database, arguments)
    with alone(database), history.recorded(database, target(settings, database), arguments):
        execute(settings, database, arguments, progress)
        if arguments[0] == "build" and not SELECTING & {a.split("=")[0] for a in arguments}:
            state(settings, database).mkdir(exist_ok=True)
            shutil.copy(target(settings, database) / "manifest.json", state(settings, database))


def _refuse_to_forget(settings: Settings, database: Database, arguments: Sequence[str]) -> None:
    """A full refresh makes tables anew from raw, which lacks what was moved to the archive."""
    if not {"--full-refresh", "-f"} & set(arguments):
        return
    from operations import archive

    if not archive.is_empty(settings, database):
        raise DbtFailed(
            f"a full refresh would lose what was moved to {archive.folder(settings, database)}:"
            " run orchestrate.py restore-archive first"
        )


def execute(
    settings: Settings,
    database: Database,
    arguments: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run `dbt ARGUMENTS` with more of the project's variables; the caller holds `alone`.

    Raises DbtFailed if it ends with an error.
    """
    known = {
        "fleet_timezone": settings.fleet_timezone,
        "chunk_days": settings.chunk_days,
        **variables,
    }
    words = [*arguments, "--vars", json.dumps(known)]
    with ExitStack() as stack:
        process = _kept.get()
        if process is None or process.poll() is not None:  # none is kept, or it was killed
            process = stack.enter_context(_started(settings, database))
        stack.enter_context(_interruptible(process))
        said, end = _converse(process, words, progress)
        was_interrupted = process not in _running
    if end == SUCCEEDED:
        return
    if was_interrupted:
        raise DbtInterrupted(f"dbt {' '.join(arguments)} was stopped")
    tail = "\n".join(line for line in said if line.strip())[-4000:]
    killed = process.returncode is not None and process.returncode < 0
    how = f"was killed by signal {-process.returncode}" if killed else "failed"
    raise DbtFailed(f"dbt {' '.join(arguments)} {how}\n{tail}".rstrip())


@contextmanager
def in_one_process(settings: Settings, database: Database) -> Iterator[None]:
    """Let the dbt commands of this block share a process: half of a short one is dbt's start."""
    with _started(settings, database) as process:
        token = _kept.set(process)
        try:
            yield
        finally:
            _kept.reset(token)


@contextmanager
def _started(settings: Settings, database: Database) -> Iterator[subprocess.Popen[str]]:
    program = str(Path(__file__).with_name("dbt_commands.py"))
    with subprocess.Popen(
        [*WITH_PARENT, sys.executable, "-P", program],
        env=environment(settings, database) | {"PGAPPNAME": SESSIONS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches it through us alone, once
    ) as process:
        yield process  # without more commands it ends


def _converse(
    process: subprocess.Popen[str],
    words: Sequence[str],
    progress: Callable[[int, int], None] | None,
) -> tuple[list[str], str | None]:
    """One command: what was said, and how it ended; None if the process is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    said: list[str] = []
    furthest = 0
    with suppress(BrokenPipeError):
        print(json.dumps(words), file=process.stdin, flush=True)
    for line in map(str.rstrip, process.stdout):
        if line in (SUCCEEDED, FAILED):
            return said, line
        said.append(ANSI.sub("", line))
        if progress is None:
            sys.stdout.write(f"{line if sys.stdout.isatty() else said[-1]}\n")
            sys.stdout.flush()
        elif step := STEP.search(said[-1]):
            furthest = max(furthest, int(step[1]))  # threads end in another order
            progress(furthest, int(step[2]))
    process.wait()
    return said, None


def interrupt() -> None:
    """Ask each dbt of this process to stop, once: asked twice it would not clean up."""
    while _running:
        _running.pop().send_signal(signal.SIGINT)


@contextmanager
def _interruptible(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let `interrupt` and, in the main thread, the signals of a stop reach this dbt."""
    _running.add(process)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: interrupt())
    try:
        yield
    finally:
        _running.discard(process)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Wait until no other dbt works on this database: two at once break each other."""
    with database.connect() as connection:
        connection.execute("select pg_advisory_lock(hashtext('fireside dbt'))")
        # The lock is free, so these belong to a dbt whose parent was killed: it is on its way out.
        connection.execute(ORPHANS, [SESSIONS])
        yield
