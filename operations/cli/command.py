"""What all commands share: the terminal, the database they work on, errors as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from typer.core import TyperGroup

from settings import WrongSettings, settings
from warehouse.database import Database, DatabaseError
from warehouse.full_disk import full_disk
from warehouse.server import open_database

console = Console(emoji=False)
errors = Console(emoji=False, stderr=True)
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log every load and every retry.")]
OtherDatabase = Annotated[
    str | None, typer.Option("--db", metavar="NAME", help="Another database of the same server.")
]


class Needs(Enum):
    """What a command does if migrations are pending in the database of DATABASE_URL."""

    READING = "warns and goes on"
    WRITING = "stops"
    MIGRATING = "applies them"


class Program(TyperGroup):
    """The command line. It prints an error that a user can mend as one line, without a traceback.

    Exit codes: 2 for wrong settings, 1 for a full disk or a database that fails.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command given on the command line."""
        try:
            return super().invoke(ctx)
        except WrongSettings as error:
            for line in error.lines:
                print_error(line)
            raise typer.Exit(2) from None
        except (OSError, psycopg.Error) as error:
            disk = full_disk(error)
            if disk is None and not isinstance(error, psycopg.OperationalError):
                raise
            text = " ".join(str(error).split())
            print_error(f"{disk}: {text}; free some space" if disk else f"database: {text}")
            raise typer.Exit(1) from None


@contextmanager
def chosen_database(name: str | None = None, needs: Needs = Needs.WRITING) -> Iterator[Database]:
    """Yield the product's database, or the database `name` of the same server.

    On the server of DATABASE_URL only Needs.MIGRATING applies pending migrations. An embedded
    server is always brought up to date. Errors end the command with exit code 1.
    """
    migrates = needs is Needs.MIGRATING
    with failing(DatabaseError), open_database(settings(), migrates=migrates) as server:
        database = server.sibling(name, create=False) if name else server
        if server.is_embedded or migrates:
            if name and database.is_prepared():
                database.prepare()
            yield database
            return
        from operations.service.pending import what_is_pending  # late: --help must not wait

        pending = what_is_pending(database)
        if pending and needs is Needs.WRITING:
            raise DatabaseError(pending)
        if pending:
            errors.print(f"[yellow]warning:[/] {pending}", highlight=False, soft_wrap=True)
        try:
            yield database
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            if not pending:
                raise
            raise DatabaseError(f"{str(error).splitlines()[0]}; {pending}") from error


@contextmanager
def failing(*kinds: type[Exception]) -> Iterator[None]:
    """Print errors of these kinds as one line instead of a traceback, and exit with 1."""
    try:
        yield
    except kinds as error:
        print_error(error)
        raise typer.Exit(1) from None


def need_credentials() -> None:
    """Exit with 2 if an API setting has no value."""
    if missing := settings().missing_credentials():
        raise typer.BadParameter(f"set {', '.join(missing)} in the environment or in .env")


def ensure_raw_tables(database: Database) -> None:
    """Create the tables of raw on an embedded server, because dbt's sources must exist.

    On the server of DATABASE_URL `migrate` and `run` have created them.
    """
    if database.is_embedded:
        create_raw_tables(database)


def create_raw_tables(database: Database) -> None:
    """Create or complete the tables of raw, and settle a load that was killed.

    Raises LandingError if dlt fails.
    """
    from loader.landing import Landing

    Landing(database, settings().work_dir).prepare()


def print_error(text: object) -> None:
    """Print `error: text` on standard error, as one line whatever the width."""
    errors.print("[red]error:[/]", end=" ")
    errors.print(text, highlight=False, soft_wrap=True, markup=False)
