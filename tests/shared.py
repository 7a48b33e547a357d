"""What the workers of one pytest run share: a folder, and things that are made once for all."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

FOLDER = pytest.StashKey[Path]()


class Shared:
    """The folder of this run. It lies outside pytest's own, which only one user may enter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, name: str, make: Callable[[], str]) -> str:
        """What `make` returned to the first worker that asked for `name`; the others wait."""
        file = self.folder / f"{name}.made"
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                text = make()
                file.write_text(text)
            return file.read_text()


def open_folder(config: pytest.Config) -> None:
    """Make the folder, or take that of the process that started this worker."""
    given = getattr(config, "workerinput", {}).get("shared_folder")
    folder = Path(given or tempfile.mkdtemp(prefix="fireside-test-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    config.stash[FOLDER] = folder


def close_folder(config: pytest.Config) -> None:
    """Remove the folder, and end a server that a killed worker left running in it."""
    if hasattr(config, "workerinput"):
        return
    folder = config.stash[FOLDER]
    for pid_file in folder.glob("*/postmaster.pid"):
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        process.kill()
        process.wait()
    shutil.rmtree(folder)


def is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ
