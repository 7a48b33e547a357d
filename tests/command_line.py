"""The product's command line for tests: a process of its own, without the second of its imports.

Tests of the start itself (signals, a terminal, a missing package) start the real program.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import forked
from waiting import TIMEOUT_S
from warm_dbt import Forked

from settings import ROOT
from warehouse import dbt_process


def run(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `orchestrate.py ARGUMENTS` with this environment; return its exit code and output.

    Raises subprocess.TimeoutExpired, with the output so far, if it does not end.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("stdout", "stderr")]
        process = forked.fork(_main, env, arguments, *map(str, files))
        process.join(TIMEOUT_S)
        is_hanging = process.exitcode is None
        if is_hanging:
            process.kill()
            process.join()
        stdout, stderr = (file.read_text() if file.exists() else "" for file in files)
    if is_hanging:
        raise subprocess.TimeoutExpired(arguments, TIMEOUT_S, stdout, stderr)
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _main(arguments: tuple[str, ...], stdout: str, stderr: str) -> None:
    written = os.O_CREAT | os.O_WRONLY
    opened = (os.open(os.devnull, os.O_RDONLY), os.open(stdout, written), os.open(stderr, written))
    forked.redirect(*opened)
    os.chdir(ROOT)
    sys.argv = [str(ROOT / "orchestrate.py"), *arguments]
    dbt_process._started = Forked
    import orchestrate  # not before: its consoles ask the environment how wide they are

    orchestrate.app()
