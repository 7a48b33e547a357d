"""What the measurements share: a result with its aim, and a database of their own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warehouse.database import Database
from warehouse.embedded import embedded_url, start_embedded


@dataclass(frozen=True)
class Result:
    what: str
    figure: float
    aim: str = ""


@contextmanager
def scratch_database() -> Iterator[tuple[Database, Path]]:
    """A prepared, empty database and a work folder, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fireside-bench-") as folder:
        server = start_embedded(Path(folder) / "postgres")
        try:
            database = embedded_url(server).sibling("bench")
            database.prepare()
            yield database, Path(folder)
        finally:
            server.cleanup()
