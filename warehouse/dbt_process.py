"""Starts the process in which dbt runs, sends it commands and asks it to stop.

dbt gets one SIGINT for any SIGTERM or SIGINT to this process, so that it cleans up.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from warehouse.dbt_commands import FAILED, SUCCEEDED

PROGRAM = str(Path(__file__).with_name("dbt_commands.py"))
ANSI = re.compile(r"\x1b\[[0-9;]*m")
STEP = re.compile(r"\b(\d+) of (\d+)\b")
# dbt has its own session, so without this it would go on when this process is killed.
WITH_PARENT = (setpriv, "--pdeathsig", "INT") if (setpriv := shutil.which("setpriv")) else ()

Process = subprocess.Popen[str]

_running: set[Process] = set()
_shared: ContextVar[Process | None] = ContextVar("shared", default=None)


@contextmanager
def shared(environment: Mapping[str, str]) -> Iterator[None]:
    """Let the commands of this block share one process: starting dbt takes seconds."""
    with _started(environment) as process:
        token = _shared.set(process)
        try:
            yield
        finally:
            _shared.reset(token)


@contextmanager
def opened(environment: Mapping[str, str]) -> Iterator[Process]:
    """Yield the process of `shared`, else a new one for this block; `interrupt` can stop it."""
    process = _shared.get()
    if process is not None and process.poll() is None:
        with _interruptible(process):
            yield process
    else:
        with _started(environment) as process, _interruptible(process):
            yield process


def run_command(
    process: Process, words: Sequence[str], progress: Callable[[int, int], None] | None
) -> tuple[list[str], bool]:
    """Run the dbt command `words`; return dbt's lines without colours, and True if it succeeded.

    `progress` is called with (step, steps in all); if it is None the lines go to the terminal.
    If dbt's process dies, `process.returncode` is set on return.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    printed: list[str] = []
    furthest = 0
    with suppress(BrokenPipeError):
        print(json.dumps(words), file=process.stdin, flush=True)
    for line in map(str.rstrip, process.stdout):
        if line in (SUCCEEDED, FAILED):
            return printed, line == SUCCEEDED
        printed.append(ANSI.sub("", line))
        if progress is None:
            sys.stdout.write(f"{line if sys.stdout.isatty() else printed[-1]}\n")
            sys.stdout.flush()
        elif step := STEP.search(printed[-1]):
            furthest = max(furthest, int(step[1]))  # threads finish out of order
            progress(furthest, int(step[2]))
    process.wait()
    return printed, False


def interrupt() -> None:
    """Ask each dbt of this process to stop, once: a second SIGINT would skip its cleanup."""
    while _running:
        _running.pop().send_signal(signal.SIGINT)


def was_interrupted(process: Process) -> bool:
    """Return True if this dbt was asked to stop; for use in the block of `opened`."""
    return process not in _running


@contextmanager
def _started(environment: Mapping[str, str]) -> Iterator[Process]:
    with subprocess.Popen(
        [*WITH_PARENT, sys.executable, "-P", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # says why dbt crashed; our own stderr holds JSON lines
        text=True,
        start_new_session=True,  # so that Ctrl-C reaches it once, through this process
    ) as process:
        yield process  # after the block, closing its stdin ends it


@contextmanager
def _interruptible(process: Process) -> Iterator[None]:
    """Let `interrupt` stop this dbt; in the main thread SIGINT and SIGTERM call `interrupt`."""
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
