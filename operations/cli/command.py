"""What commands share: the terminal, the database they work on, and errors as one line."""

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
Beside = Annotated[str | None, typer.Option("--db", help="Another database of the same server.")]


class Needs(Enum):
    """What a command does to the database of DATABASE_URL."""

    READING = "goes on with a warning while something is pending"
    WRITING = "stops while something is pending"
    MIGRATING = "applies what is pending"


class Program(TyperGroup):
    """The command line: whatever goes wrong outside the product's code is one line.

    Exit codes: 2 for wrong settings, 1 for a disk that is full or a database that fails.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors that a user can mend end it with a line each."""
        try:
            return super().invoke(ctx)
        except WrongSettings as error:
            for line in error.lines:
                _print_error(line)
            raise typer.Exit(2) from None
        except (OSError, psycopg.Error) as error:
            disk = full_disk(error)
            if disk is None and not isinstance(error, psycopg.OperationalError):
                raise
            said = " ".join(str(error).split())
            _print_error(f"{disk}: {said}; free some space" if disk else f"database: {said}")
            raise typer.Exit(1) from None


@contextmanager
def chosen_database(name: str | None = None, needs: Needs = Needs.WRITING) -> Iterator[Database]:
    """Yield the product's database, or the one called `name` beside it.

    Of a server that DATABASE_URL names, only Needs.MIGRATING changes the structure. An embedded
    server is the product's own: it is always brought up to date.
    """
    migrates = needs is Needs.MIGRATING
    with failing(DatabaseError), open_database(settings(), migrates=migrates) as server:
        database = server.sibling(name, create=False) if name else server
        if server.is_embedded or migrates:
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
        _print_error(error)
        raise typer.Exit(1) from None


def need_credentials() -> None:
    """Exit with 2, as for wrong use, if an API setting has no value."""
    if missing := settings().missing_credentials():
        raise typer.BadParameter(f"set {', '.join(missing)} in the environment or in .env")


def with_raw(database: Database) -> None:
    """Make the raw tables of an embedded server: dbt's sources must exist.

    On a given server they do, as only `migrate` and `run` make them.
    """
    if database.is_embedded:
        make_raw(database)


def make_raw(database: Database) -> None:
    """Make or complete the tables of raw, and settle a load that was killed.

    Raises LandingError.
    """
    from loader.landing import Landing

    Landing(database, settings().work_dir).prepare()


def _print_error(text: object) -> None:
    errors.print("[red]error:[/]", end=" ")
    errors.print(text, highlight=False, soft_wrap=True, markup=False)
