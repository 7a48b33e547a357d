"""Leader election: the orchestrator that holds the advisory lock of the database runs the jobs."""

import psycopg
import structlog

from warehouse.database import Database

log = structlog.get_logger()

KEY = "fireside orchestrator"
TRY_LOCK = "select pg_try_advisory_lock(hashtext(%s))"


class Leader:
    """Takes and keeps the lock, which lives as long as its connection. For one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; return False if another orchestrator holds it.

        Raises psycopg.OperationalError if the database is unreachable.
        """
        if self._connection is None:
            self._connection = self._database.connect()
        try:
            row = self._connection.execute(TRY_LOCK, [KEY]).fetchone()
        except psycopg.OperationalError:
            self.release()
            raise
        return row == (True,)

    def is_held(self) -> bool:
        """Return False once the connection is lost, because the lock is lost with it."""
        try:
            assert self._connection is not None
            self._connection.execute("select 1")
        except psycopg.OperationalError as error:
            log.error("leader lock lost: its connection broke", reason=str(error))
            self.release()
            return False
        return True

    def release(self) -> None:
        """Close the connection; this frees the lock for a standby."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
