"""Processes for tests, forked from one that has imported what the product's programs import.

Each has its own environment and its own standard streams, as a program that is started has.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess

# The libraries, which take seconds to import. What reads the environment when it is imported, as
# the command line's consoles do, is left to the child.
PRELOADED = (
    *("__main__", "dbt.cli.main", "dlt", "dlt.destinations", "pyarrow", "typer.rich_utils"),
    *("structlog.dev", "requests", "stamina", "loader.landing", "warehouse.server"),
)
_is_forked = False


def fork(
    target: Callable[..., None], environment: Mapping[str, str], *arguments: object
) -> BaseProcess:
    """Start a process in which `target(*arguments)` sees `environment` and no other.

    It leads a session of its own. Its exit code is that of a program that does the same.
    """
    # A forked process has the imports already, and would start a server of its own.
    context = multiprocessing.get_context("fork" if _is_forked else "forkserver")
    if not _is_forked:
        context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=_run, args=(dict(environment), target, arguments))
    process.start()
    return process


def send_signal(process: BaseProcess, number: signal.Signals) -> None:
    if process.pid is not None and process.exitcode is None:
        os.kill(process.pid, number)


def redirect(stdin: int, stdout: int, stderr: int) -> None:
    """In the child: give these file descriptors to the standard streams."""
    for number, given in enumerate((stdin, stdout, stderr)):
        os.dup2(given, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _run(
    environment: dict[str, str], target: Callable[..., None], arguments: Sequence[object]
) -> None:
    global _is_forked  # noqa: PLW0603 - it says something about the process
    _is_forked = True
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)
