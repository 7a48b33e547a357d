"""Opens the product's database: the server of DATABASE_URL, else the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from settings import Settings, WrongSettings
from warehouse.address import BadAddress, canonical
from warehouse.database import Database, DatabaseError


@contextmanager
def open_database(settings: Settings, *, migrates: bool) -> Iterator[Database]:
    """Yield the database; an embedded server is started here and stopped after use.

    Pending migrations are applied to an embedded server and, if `migrates`, to the server of
    DATABASE_URL. Raises DatabaseError if the server cannot be reached or is too old, and
    WrongSettings for an address that cannot be used.
    """
    if settings.database_url is not None:
        try:
            address = canonical(settings.database_url.get_secret_value(), "DATABASE_URL")
        except BadAddress as error:
            raise WrongSettings([str(error)]) from None
        database = Database(address)
        try:
            database.prepare() if migrates else database.check_version()
        except psycopg.OperationalError as error:
            raise DatabaseError(
                f"cannot reach {database.safe_url}: {error}; check DATABASE_URL"
            ) from error
        yield database
        return
    from warehouse.embedded import embedded_url, start_embedded  # not needed beside a server

    server = start_embedded(settings.work_dir / "postgres")
    try:
        database = embedded_url(server).sibling("fireside")
        database.prepare()
        yield database
    finally:
        server.cleanup()
