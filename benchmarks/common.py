"""Parts that benchmarks share: a result with its target, and a temporary database."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warehouse.database import Database
from warehouse.embedded import embedded_url, start_embedded


@dataclass(frozen=True)
class Result:
    """One measured value. `measure` contains its unit; `target` is the value to reach, if any."""

    measure: str
    value: float
    target: str = ""


@contextmanager
def scratch_database() -> Iterator[tuple[Database, Path]]:
    """A migrated, empty database and a work folder; both are deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="fireside-bench-") as folder:
        server = start_embedded(Path(folder) / "postgres")
        try:
            database = embedded_url(server).sibling("bench")
            database.prepare()
            yield database, Path(folder)
        finally:
            server.cleanup()
