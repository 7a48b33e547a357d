"""Applies the files of warehouse/migrations to the database with yoyo: each once, in order.

The database keeps the checksum of each applied file; a file that has changed since is refused. A
file runs in a transaction of its own and is recorded right after it. If the process is killed
between the two, the file runs a second time, so files say `if not exists`.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import structlog
from psycopg import sql
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri

log = structlog.get_logger()

MIGRATIONS = Path(__file__).with_name("migrations")
TABLE = "schema_migrations"


class MigrationError(Exception):
    """A migration cannot be applied. The text says which file and what to do."""


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's backend with our names for its tables, and an advisory lock.

    yoyo's own lock is a row that outlives a killed process; an advisory lock ends with it.
    """

    log_table = f"{TABLE}_log"
    version_table = f"{TABLE}_version"

    def connect(self, dburi: Any) -> psycopg.Connection:
        connection: psycopg.Connection = super().connect(dburi)
        connection.add_notice_handler(_log_warning)
        return connection

    @contextmanager
    def lock(self) -> Iterator[None]:
        self.execute("select pg_advisory_lock(hashtext('fireside schema'))")
        yield
        self.execute("select pg_advisory_unlock(hashtext('fireside schema'))")


def migrate(url: str, connection: psycopg.Connection, folder: Path = MIGRATIONS) -> list[str]:
    """Apply the files that the database at `url` lacks; return their names, usually none.

    `connection` is one to the same database; if nothing is pending, two queries on it are all.
    Raises MigrationError if a file fails, or has changed since it was applied.
    """
    if not pending(connection, folder):
        return []
    wanted = _checksums(folder)
    uri = parse_uri(url)
    uri = uri._replace(database=unquote(uri.database), args=uri.args | {"schema": "tracksolid"})
    done: list[str] = []
    with Backend(uri, TABLE) as backend, backend.lock():
        backend.execute("create schema if not exists tracksolid")
        migrations = read_migrations(str(folder))
        for migration in migrations:
            migration.hash = wanted[migration.id]  # yoyo's own hash covers only the file's name
        for migration in backend.to_apply(migrations):
            try:
                backend.apply_one(migration)
            except psycopg.Error as error:
                raise MigrationError(
                    f"{migration.id}.sql does not apply: {error}; it is rolled back: mend the cause"
                    " and run orchestrate.py migrate"
                ) from error
            done.append(migration.id)
    return done


def pending(connection: psycopg.Connection, folder: Path = MIGRATIONS) -> list[str]:
    """Return the names of the files that this database lacks, in order; change nothing.

    Raises MigrationError if a file has changed since it was applied.
    """
    wanted, known = _checksums(folder), applied(connection)
    for name, checksum in known.items():
        # A name that this release does not know belongs to a newer release.
        if wanted.get(name, checksum) != checksum:
            raise MigrationError(
                f"{name}.sql has changed since it was applied to this database; restore the file"
                " and put the change into a new one with the next number"
            )
    return sorted(wanted.keys() - known.keys())


def set_grafana_password(connection: psycopg.Connection, password: str) -> None:
    """Let grafana_ro log in with this password. The server and its log see only a verifier.

    Raises MigrationError if the role does not exist, or this login may not change it.
    """
    verifier = connection.pgconn.encrypt_password(
        password.encode(), b"grafana_ro", b"scram-sha-256"
    )
    change = sql.SQL("alter role grafana_ro password {}")
    try:
        connection.execute(change.format(sql.Literal(verifier.decode())))
    except (psycopg.errors.UndefinedObject, psycopg.errors.InsufficientPrivilege) as error:
        raise MigrationError(
            f"the password of grafana_ro is not set: {error}; see docs/CONNECTIONS.md, The database"
        ) from error


def applied(connection: psycopg.Connection) -> dict[str, str]:
    """Return name and checksum of each applied file.

    Raises MigrationError if the database belongs to another system, such as the old one.
    """
    exists = connection.execute("select to_regclass(%s)", [f"tracksolid.{TABLE}"]).fetchone()
    if exists == (None,):
        return {}
    names = f"select migration_id, migration_hash from tracksolid.{TABLE}"
    try:
        return dict(connection.execute(names.encode()).fetchall())
    except psycopg.errors.UndefinedColumn:
        raise MigrationError(
            f"database {connection.info.dbname} holds another system's tracksolid.{TABLE}: give"
            " this product a database of its own (create database fireside), name it in"
            " DATABASE_URL, and see docs/MIGRATION.md"
        ) from None


def _checksums(folder: Path) -> dict[str, str]:
    """Return name and checksum of each file of the folder."""
    files = folder.glob("*.sql")
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _log_warning(notice: psycopg.errors.Diagnostic) -> None:
    if notice.severity_nonlocalized == "WARNING":
        log.warning("warning of a migration", reason=notice.message_primary)
