"""Are there complete loads in raw that a model has not read yet?"""

import psycopg

from warehouse.database import Database

# First case: a model lacks loads of an earlier build, because it failed there. Second case: a load
# is new. Loads that have been complete for more than a day wait for the nightly build, which always
# runs.
PENDING = """
    with read_by_all as (select min(build_id) as build_id from tracksolid.claims)

    select
        read_by_all.build_id is null
        or exists (
            select from tracksolid.offered_loads as offered
            where offered.build_id > read_by_all.build_id
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
    from read_by_all
"""


def exist(database: Database) -> bool:
    """Return True if a build has something to read, and before the first build."""
    with database.connect() as connection:
        try:
            row = connection.execute(PENDING).fetchone()
        except psycopg.errors.UndefinedTable:
            return True
    return row == (True,)
