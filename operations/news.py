"""Is there anything for a build: complete loads of raw that a model has not taken?"""

import psycopg

from operations.database import Database

# takes_loads: the models that claim loads of raw; a mart claims changes of facts instead. They are
# walked from one to the next, as a plain distinct would read all claims there ever were.
TAKERS = """
    models as (
        select min(model) as model from tracksolid.claimed_loads
        union all
        select (select min(c.model) from tracksolid.claimed_loads as c where c.model > models.model)
        from models
        where models.model is not null
    ),

    takes_loads as (
        select model from models
        where exists (
            select from tracksolid.claimed_loads as claim
            inner join raw._dlt_loads as load using (load_id)
            where claim.model = models.model
        )
    )
"""
# What is older was offered to a nightly build, which always runs.
WAITING = f"""
    with recursive {TAKERS}

    select
        not exists (select from takes_loads)
        or exists (
            select from raw._dlt_loads as load, takes_loads
            where
                load.status = 0
                and load.inserted_at > now() - interval '1 day'
                and not exists (
                    select from tracksolid.claimed_loads as claim
                    where claim.model = takes_loads.model and claim.load_id = load.load_id
                )
        )
"""


def wait(database: Database) -> bool:
    """True if a build has something to do; also before the first one."""
    with database.connect() as connection:
        try:
            row = connection.execute(WAITING).fetchone()
        except psycopg.errors.UndefinedTable:
            return True
    return row == (True,)
