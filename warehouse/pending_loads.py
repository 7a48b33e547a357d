"""Is there anything for a build: complete loads of raw that a model has not taken?"""

import psycopg

from warehouse.database import Database

# A model is behind if the last build failed for it. What was complete long ago and never offered is
# left to a nightly build, which always runs.
WAITING = """
    with taken as (select min(build_id) as build_id from tracksolid.claims)

    select
        taken.build_id is null
        or exists (
            select from tracksolid.offered_loads as offered
            where offered.build_id > taken.build_id
        )
        or exists (
            select from raw.complete_loads as load
            where
                load.inserted_at > now() - interval '1 day'
                and not exists (
                    select from tracksolid.offered_loads as offered
                    where offered.load_id = load.load_id
                )
        )
    from taken
"""


def wait(database: Database) -> bool:
    """True if a build has something to do; also before the first one."""
    with database.connect() as connection:
        try:
            row = connection.execute(WAITING).fetchone()
        except psycopg.errors.UndefinedTable:
            return True
    return row == (True,)
