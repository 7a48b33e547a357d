"""From an error to the disk that was full: the work folder's here, or the database server's."""

import errno
import re
import sqlite3
from collections.abc import Iterator

WORK = "the disk of the work folder is full"
SERVER = "the disk of the database server is full"
DISK_FULL = "53100"  # SQLSTATE
# PostgreSQL's own words for a full disk of the server, and Python's for a full disk here, which dbt
# prints too.
OF_SERVER = re.compile(r"could not (extend|write|open|create|fsync|truncate).{0,300}No space left")
OF_WORK = re.compile(r"\[Errno 28\]|No space left on device|database or disk is full")


def full_disk(error: BaseException) -> str | None:
    """Return WORK or SERVER if the error comes from a full disk, else None."""
    for each in _chain(error):
        # psycopg and ADBC, psycopg2
        if DISK_FULL in (getattr(each, "sqlstate", None), getattr(each, "pgcode", None)):
            return SERVER
        if isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT):
            return WORK
        if getattr(each, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return WORK
    for each in _chain(error):
        if OF_SERVER.search(str(each)):
            return SERVER
        if OF_WORK.search(str(each)):
            return WORK
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes; dlt keeps a cause in `exception`."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "exception", None)]
            yield each
