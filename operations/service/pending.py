"""Finds out what `orchestrate.py migrate` or a build has to do on a database; changes nothing."""

import psycopg

from loader.raw_tables import incomplete
from warehouse.database import Database
from warehouse.migrate import MigrationError


def what_is_pending(database: Database) -> str | None:
    """Say in one line what `migrate` would do to this database; None if it is up to date."""
    try:
        migrations = database.pending()
    except MigrationError as error:
        return str(error)
    with database.connect() as connection:
        tables = [] if migrations else incomplete(connection)
    if not migrations and not tables:
        return None
    lacking = f"migrations {', '.join(migrations)}"
    if not migrations:
        lacking = f"tables raw.{', raw.'.join(tables)}"
    return f"pending in {database.safe_url}: {lacking}; run orchestrate.py migrate"


def what_is_outdated(connection: psycopg.Connection) -> str | None:
    """Say in one line which models have rows of earlier rules or releases; None if none has.

    A build computes them again, but not while rows of raw are in archived files.
    """
    row = connection.execute(
        """
        select
            string_agg(model, ', ' order by model),
            exists (select from raw.archived_files)
        from tracksolid.claims
        where content_id = 'outdated'
        """
    ).fetchone()
    assert row is not None
    models, has_archive = row
    if models is None:
        return None
    commands = "orchestrate.py restore-archive, then " if has_archive else ""
    return (
        f"an operating rule or the release has changed since rows of {models} were computed:"
        f" run {commands}orchestrate.py build"
    )
