"""The process in which dbt runs: started, told commands, asked to stop.

Who stops this process stops dbt, which then cleans up: SIGTERM and SIGINT reach it as one SIGINT.
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
# dbt in a session of its own would outlive a parent that is killed.
WITH_PARENT = (setpriv, "--pdeathsig", "INT") if (setpriv := shutil.which("setpriv")) else ()

Process = subprocess.Popen[str]

_running: set[Process] = set()
_kept: ContextVar[Process | None] = ContextVar("kept", default=None)


@contextmanager
def kept(environment: Mapping[str, str]) -> Iterator[None]:
    """Let the commands of this block share a process: half of a short one is dbt's start."""
    with _started(environment) as process:
        token = _kept.set(process)
        try:
            yield
        finally:
            _kept.reset(token)


@contextmanager
def ready(environment: Mapping[str, str]) -> Iterator[Process]:
    """The process that is kept, or one for this block; stops of ours reach it."""
    process = _kept.get()
    if process is not None and process.poll() is None:  # nobody has killed it
        with _interruptible(process):
            yield process
    else:
        with _started(environment) as process, _interruptible(process):
            yield process


def tell(
    process: Process, words: Sequence[str], progress: Callable[[int, int], None] | None
) -> tuple[list[str], bool]:
    """Run one command: what was said, also on the terminal without `progress`, and if all is well.

    A process that is gone has a return code afterwards.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    said: list[str] = []
    furthest = 0
    with suppress(BrokenPipeError):
        print(json.dumps(words), file=process.stdin, flush=True)
    for line in map(str.rstrip, process.stdout):
        if line in (SUCCEEDED, FAILED):
            return said, line == SUCCEEDED
        said.append(ANSI.sub("", line))
        if progress is None:
            sys.stdout.write(f"{line if sys.stdout.isatty() else said[-1]}\n")
            sys.stdout.flush()
        elif step := STEP.search(said[-1]):
            furthest = max(furthest, int(step[1]))  # threads end in another order
            progress(furthest, int(step[2]))
    process.wait()
    return said, False


def interrupt() -> None:
    """Ask each dbt of this process to stop, once: asked twice it would not clean up."""
    while _running:
        _running.pop().send_signal(signal.SIGINT)


def was_interrupted(process: Process) -> bool:
    """True in the block of one that was asked to stop."""
    return process not in _running


@contextmanager
def _started(environment: Mapping[str, str]) -> Iterator[Process]:
    with subprocess.Popen(
        [*WITH_PARENT, sys.executable, "-P", PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # why it died belongs to what it said, and our own is JSON
        text=True,
        start_new_session=True,  # Ctrl-C reaches it through us alone, once
    ) as process:
        yield process  # without more commands it ends


@contextmanager
def _interruptible(process: Process) -> Iterator[None]:
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
