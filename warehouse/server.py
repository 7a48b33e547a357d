"""Opens the product's database: the server of DATABASE_URL, else the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from settings import Settings
from warehouse.database import Database, DatabaseError


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Yield the prepared database; an embedded server is started here and stopped after use."""
    if settings.database_url is not None:
        database = Database(settings.database_url.get_secret_value())
        try:
            conninfo_to_dict(database.url)
        except (psycopg.ProgrammingError, UnicodeDecodeError):  # their text repeats the password
            raise DatabaseError(
                "DATABASE_URL is no postgresql://user:password@host:5432/database;"
                " write % in a password as %25, @ as %40 and / as %2F"
            ) from None
        try:
            database.prepare()
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
