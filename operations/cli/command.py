"""What commands share: the terminal, the database that is meant, faults told in a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from settings import settings
from warehouse.database import Database, DatabaseError
from warehouse.server import open_database

console = Console(emoji=False)
errors = Console(emoji=False, stderr=True)
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log every load and every retry.")]
Beside = Annotated[str | None, typer.Option("--db", help="Another database of the same server.")]


@contextmanager
def chosen_database(name: str | None = None) -> Iterator[Database]:
    """Yield the product's database, or another one beside it."""
    with failing(DatabaseError), open_database(settings()) as database:
        yield database.sibling(name, create=False) if name else database


@contextmanager
def failing(*kinds: type[Exception]) -> Iterator[None]:
    """Faults that a user can mend are a line on the terminal, not a traceback."""
    try:
        yield
    except kinds as error:
        errors.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def need_credentials() -> None:
    """Wrong use, exit 2, if a setting without which the API cannot be asked has no value."""
    if missing := settings().missing_credentials():
        raise typer.BadParameter(f"set {', '.join(missing)} in the environment or in .env")


def with_raw(database: Database) -> None:
    """Make the raw tables, which dbt's sources need to exist."""
    from loader.landing import Landing

    Landing(database, settings().work_dir).prepare()
