"""Deletes rows of the ledger of loads and of the run history that no later build needs."""

import json
from datetime import timedelta

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

# Changes that every model above the changed model has read. A model that is rebuilt later reads
# everything and does not need them.
CHANGES = """
    with concerned as (
        select * from unnest(%(changed)s::text[], %(readers)s::text[]) as pair (changed, reader)
    )

    delete from tracksolid.{} as change
    where change.build_id <= all(
        select coalesce(claim.build_id, 0)
        from concerned
        left join tracksolid.claims as claim on concerned.reader = claim.model
        where concerned.changed = change.model
    )
"""
# Otherwise a model that has left the project would count as behind for ever.
CLAIMS_OF_REMOVED_MODELS = "delete from tracksolid.claims where model <> all(%(models)s)"
# Load times matter only to models that have not read the load yet.
TIMES = """
    delete from {} as known
    using tracksolid.offered_loads as offered
    where
        known.load_id = offered.load_id
        and offered.build_id <= (select min(build_id) from tracksolid.claims)
"""
BUILDS = """
    delete from tracksolid.builds
    where
        began_at < now() - %(kept)s
        and build_id < (select max(build_id) from tracksolid.builds)
"""
HISTORY = "delete from dwh_gold.dbt_run_history where started_at < now() - %(kept)s"


def prune(settings: Settings, database: Database) -> None:
    """Delete ledger rows that all models have passed, claims of removed models, old history."""
    manifest = json.loads((dbt_runner.target(settings, database) / "manifest.json").read_text())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    with dbt_runner.alone(database), database.connect(autocommit=False) as connection:
        for table, config in (
            ("changed_days", "reads_changes_of"),
            ("changed_spans", "reads_from"),
        ):
            pairs = [
                (changed, model["name"])
                for model in models
                for changed in model["config"].get(config) or ()
            ]
            connection.execute(
                CHANGES.format(table).encode(),
                {"changed": [pair[0] for pair in pairs], "readers": [pair[1] for pair in pairs]},
            )
        connection.execute(
            CLAIMS_OF_REMOVED_MODELS, {"models": [model["name"] for model in models]}
        )
        for table in ("raw.load_times", "tracksolid.first_times"):
            connection.execute(TIMES.format(table).encode())
        kept = timedelta(days=settings.history_retention_days)
        for old in (BUILDS, HISTORY):
            connection.execute(old, {"kept": kept})
