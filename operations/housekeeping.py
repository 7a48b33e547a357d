"""What may be forgotten without a change to anything dbt will build."""

import json
from datetime import timedelta

from operations import dbt
from operations.database import Database
from settings import Settings

# A change that every mart it concerns has taken: change and claims go together, so that it is
# never offered again. A mart that starts over computes all days, whatever stands here.
CHANGES = """
    with concerned as (
        select * from unnest(%(changed)s::text[], %(marts)s::text[]) as pair (changed, mart)
    ),

    settled as (
        delete from tracksolid.changed_days as change
        where not exists (
            select from concerned
            where
                concerned.changed = change.model
                and not exists (
                    select from tracksolid.claimed_loads as claim
                    where
                        claim.model = concerned.mart
                        and claim.load_id = change.model || '/' || change.invocation_id
                )
        )
        returning change.model, change.invocation_id
    )

    delete from tracksolid.claimed_loads as claim
    using settled, concerned
    where
        concerned.changed = settled.model
        and claim.model = concerned.mart
        and claim.load_id = settled.model || '/' || settled.invocation_id
"""
# Else a model that is no longer in the project would for ever look like one with news.
CLAIMS_OF_NOBODY = "delete from tracksolid.claimed_loads where model <> all(%(models)s)"
# By then all models have taken the load. One that has not looks in all chunks, and misses nothing.
LOAD_TIMES = """
    delete from raw.load_times
    where load_id < extract(epoch from now() - interval '31 days')::text
"""
HISTORY = "delete from dwh_gold.dbt_run_history where started_at < now() - %(kept)s"


def prune(settings: Settings, database: Database) -> None:
    """Forget what all models have taken, claims of models that are gone, old history."""
    manifest = json.loads((dbt.target(settings, database) / "manifest.json").read_text())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    pairs = [
        (changed, model["name"])
        for model in models
        for changed in model["config"].get("takes_changes_of") or ()
    ]
    with dbt.alone(database), database.connect(autocommit=False) as connection:
        connection.execute(
            CHANGES,
            {"changed": [pair[0] for pair in pairs], "marts": [pair[1] for pair in pairs]},
        )
        connection.execute(CLAIMS_OF_NOBODY, {"models": [model["name"] for model in models]})
        connection.execute(LOAD_TIMES)
        kept = timedelta(days=settings.history_retention_days)
        connection.execute(HISTORY, {"kept": kept})
