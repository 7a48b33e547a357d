"""Writes rows of raw to a Parquet file that survives a power cut, and reads them back."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


class ArchiveError(Exception):
    """A file lacks rows that belong in it, or is gone. The text names it. No row of raw is lost."""


def write(rows: pa.Table, folder: Path, name: str) -> Path:
    """Write rows to `name`.parquet in `folder` and return its absolute path.

    `name` must be new: another file of that name would be replaced. Raises ArchiveError if the
    file, read back, differs from the rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, unfinished = folder / f"{name}.parquet", folder / f"{name}.part"
    try:
        with unfinished.open("xb") as file:
            pq.write_table(rows, file, compression="zstd")
            os.fsync(file.fileno())
        if not pq.read_table(unfinished).equals(rows):
            raise ArchiveError(
                f"{unfinished} differs from the rows of raw: nothing is deleted;"
                " check the disk of ARCHIVE_DIR"
            )
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    for each in (folder, *folder.parents[:3]):  # up to the one that holds ARCHIVE_DIR
        _sync(each)
    return path.absolute()


def read(path: Path, loads: Sequence[str]) -> pa.Table | None:
    """Return the rows of these loads; None if the file cannot be read."""
    try:
        rows = pq.read_table(path)
        return rows.filter(pc.is_in(rows["_dlt_load_id"], pa.array(loads, pa.string())))
    except (OSError, KeyError, pa.ArrowException):
        return None


def _sync(folder: Path) -> None:
    """Write the folder's own entries to disk: fsync of a file does not cover its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
