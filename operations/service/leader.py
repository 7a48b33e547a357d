"""Who works: the one orchestrator that holds a lock of the database, as long as its connection."""

import psycopg
import structlog

from warehouse.database import Database

log = structlog.get_logger()

KEY = "fireside orchestrator"
TAKE = "select pg_try_advisory_lock(hashtext(%s))"


class Leader:
    """The lock, or the wish to have it. For one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def take(self) -> bool:
        """Take the lock if it is free. Raises psycopg.OperationalError without a database."""
        if self._connection is None:
            self._connection = self._database.connect()
        try:
            row = self._connection.execute(TAKE, [KEY]).fetchone()
        except psycopg.OperationalError:
            self.give_up()
            raise
        return row == (True,)

    def is_held(self) -> bool:
        """False once the connection is lost, and the lock with it."""
        try:
            assert self._connection is not None
            self._connection.execute("select 1")
        except psycopg.OperationalError as error:
            log.error("the connection that holds the leader's lock is lost", reason=str(error))
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        """Let the next one work."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
