"""A database of the product: its connections, its roles, its migrations."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo

from warehouse.address import printable
from warehouse.migrate import MigrationError, applied, migrate, pending

LOADER_ROLE = "fireside_loader"
DBT_ROLE = "fireside_dbt"
DATABASES = "select datname from pg_database where not datistemplate order by 1"
OLDEST_SERVER = 160000  # the first with pg_input_is_valid, which staging needs


class DatabaseError(Exception):
    """The database cannot be used. The text says why and what to do."""


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database. `url` holds the password, so it is not in the repr."""

    url: str = field(repr=False)
    is_embedded: bool = False

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        """Connect; a connection that breaks silently is noticed within half a minute."""
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
        """A name for this database's folders. An embedded server's port changes: it is left out."""
        given = self.environment()
        place = "" if self.is_embedded else f"{given['PGHOST'].lower()}-{given['PGPORT']}-"
        return quote(place, safe=".-_:") + quote(given["PGDATABASE"], safe="")

    @property
    def safe_url(self) -> str:
        """The address without password, for messages: user, host, port and database."""
        return printable(self.url)

    def environment(self) -> dict[str, str]:
        """Return libpq's variables (PGHOST …) for psql, dbt and sqlfluff, from the URL."""
        given = {
            option.envvar.decode(): option.val.decode()
            for option in Conninfo.parse(self.url.encode())
            if option.envvar and option.val
        }
        # dbt's profile requires each of these.
        defaults = {"PGHOST": "localhost", "PGPORT": "5432", "PGUSER": "postgres"}
        return defaults | {"PGPASSWORD": "", "PGDATABASE": ""} | given

    def acting_as(self, role: str) -> "Database":
        """Return the same database, with the rights of `role` only.

        Return the database itself if the login cannot switch to the role: where the login may not
        create roles, there are none.
        """
        with self.connect() as connection:
            may = "select from pg_roles where rolname = %s and pg_has_role(oid, 'set')"
            if connection.execute(may, [role]).fetchone() is None:
                return self
        parts = urlsplit(self.url)
        given = dict(parse_qsl(parts.query))
        # "-crole" has no blank, because libpq, dlt and ADBC write a blank in a URL differently.
        given["options"] = " ".join(filter(None, [given.get("options"), f"-crole={role}"]))
        query = urlencode(given, quote_via=quote)
        return Database(urlunsplit(parts._replace(query=query)), self.is_embedded)

    def sibling(self, name: str, *, create: bool = True) -> "Database":
        """Return the database `name` on the same server; create it if it is missing.

        Raises DatabaseError instead of creating it if `create` is false.
        """
        with self.connect() as connection:
            known = [row[0] for row in connection.execute(DATABASES)]
            if name not in known:
                if not create:
                    raise DatabaseError(
                        f"there is no database {name!r} beside {self.safe_url}; there are:"
                        f" {', '.join(known)}"
                    )
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        path = urlsplit(self.url)._replace(path=f"/{quote(name)}")
        return Database(urlunsplit(path), self.is_embedded)

    def prepare(self) -> list[str]:
        """Apply the migrations that the database lacks; return their names, usually none.

        Raises DatabaseError if the server is too old, or a migration does not apply.
        """
        self.check_version()
        with self.connect() as connection:
            try:
                return migrate(self.url, connection)
            except MigrationError as error:
                raise DatabaseError(str(error)) from error

    def is_prepared(self) -> bool:
        """Return True if the database has migrations of this product, of any release."""
        with self.connect() as connection:
            try:
                return bool(applied(connection))
            except MigrationError:
                return False

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

        Raises MigrationError if the database belongs to another system, or a migration has changed.
        """
        with self.connect() as connection:
            return pending(connection)
