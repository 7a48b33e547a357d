"""Finds out what `orchestrate.py migrate` would do to a database; changes nothing."""

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
