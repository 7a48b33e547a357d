"""The database: the server of DATABASE_URL, else an embedded PostgreSQL in the work folder."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo

from warehouse.address import printable
from warehouse.migrate import MigrationError, migrate, pending

LOADER_ROLE = "fireside_loader"
DBT_ROLE = "fireside_dbt"
OLDEST_SERVER = 160000  # pg_input_is_valid, on which the guards of staging stand


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database by its URL, which holds the password and is not in its repr."""

    url: str = field(repr=False)
    is_embedded: bool = False

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        """Connect; a connection that is cut without a word is found out within half a minute."""
        return psycopg.connect(
            self.url,
            autocommit=autocommit,
            connect_timeout=15,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=25_000,
        )

    @property
    def name(self) -> str:
        """A name for this database's folders; without the port that an embedded server got."""
        given = self.environment()
        place = "" if self.is_embedded else f"{given['PGHOST'].lower()}-{given['PGPORT']}-"
        return quote(place, safe=".-_:") + quote(given["PGDATABASE"], safe="")

    @property
    def safe_url(self) -> str:
        """The address as it may be printed: user, host, port and database."""
        return printable(self.url)

    def environment(self) -> dict[str, str]:
        """libpq's variables, for psql, dbt and sqlfluff: all that the URL says, and defaults."""
        given = {
            option.envvar.decode(): option.val.decode()
            for option in Conninfo.parse(self.url.encode())
            if option.envvar and option.val
        }
        # The profile of dbt asks for each of these.
        defaults = {"PGHOST": "localhost", "PGPORT": "5432", "PGUSER": "postgres"}
        return defaults | {"PGPASSWORD": "", "PGDATABASE": ""} | given

    def acting_as(self, role: str) -> "Database":
        """The same database, with the rights of one of its roles only.

        Itself where this login cannot become that role: the server let nobody make it.
        """
        with self.connect() as connection:
            may = "select from pg_roles where rolname = %s and pg_has_role(oid, 'set')"
            if connection.execute(may, [role]).fetchone() is None:
                return self
        parts = urlsplit(self.url)
        given = dict(parse_qsl(parts.query))
        # Without a blank: libpq, dlt and ADBC do not agree how to write one in a URL.
        given["options"] = " ".join(filter(None, [given.get("options"), f"-crole={role}"]))
        query = urlencode(given, quote_via=quote)
        return Database(urlunsplit(parts._replace(query=query)), self.is_embedded)

    def sibling(self, name: str, *, create: bool = True) -> "Database":
        """Another database on the same server, made if it is missing.

        Raises DatabaseError if it is missing and shall not be made.
        """
        with self.connect() as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", [name])
            if known.fetchone() is None:
                if not create:
                    raise DatabaseError(f"there is no database {name!r} beside {self.safe_url}")
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        path = urlsplit(self.url)._replace(path=f"/{quote(name)}")
        return Database(urlunsplit(path), self.is_embedded)

    def prepare(self) -> list[str]:
        """Apply the migrations that are missing and return their names: none, most of the time.

        Raises DatabaseError if the server is too old, or a migration does not apply.
        """
        self.check_version()
        with self.connect() as connection:
            try:
                return migrate(self.url, connection)
            except MigrationError as error:
                raise DatabaseError(str(error)) from error

    def check_version(self) -> None:
        """Raise DatabaseError if the server is too old."""
        with self.connect() as connection:
            version = connection.info.server_version
        if version < OLDEST_SERVER:
            raise DatabaseError(
                f"{self.safe_url} runs PostgreSQL {version // 10000}; 16 or newer is needed"
            )

    def pending(self) -> list[str]:
        """Return the names of the migrations that `prepare` would apply; change nothing.

        Raises MigrationError if the database is another system's, or a migration has changed.
        """
        with self.connect() as connection:
            return pending(connection)
