"""Previews changed models: builds them in a scratch schema, compares with gold, drops the schema.

Gold is only read; dbt reads from it the models that have not changed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from analyst.kpi.catalogue import Catalogue, Kpi, Unknown
from analyst.kpi.compare import (
    KpiChange,
    TableChange,
    ValueChange,
    kpi_changes,
    largest,
    table_changes,
)
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import DBT_ROLE, Database

SCRATCH = "kpi_preview"
LEDGER = ("claims", "changed_days", "changed_spans", "first_times", "carried_vehicles")


@dataclass(frozen=True)
class Preview:
    """The differences between gold and the preview."""

    built_at: str  # time of the build that the preview is compared with
    tables: Sequence[TableChange]  # all tables built; empty if nothing is modified
    deleted: Sequence[str]  # models of the last build that the project no longer has
    catalogue: Mapping[str, Kpi]  # all KPIs, before and after the change
    kpis: Sequence[KpiChange]
    largest: Sequence[ValueChange]


def preview(
    settings: Settings,
    database: Database,
    models: Sequence[str],
    progress: Callable[[int, int], None],
) -> Preview:
    """Build the modified models, or those named, with their children, and compare with gold.

    Raises Unknown if the project has no such model, DbtFailed if a model does not build, and
    DatabaseError if there is no build to compare with.
    """
    gold = Catalogue.of_gold(settings, database)
    artifacts = dbt_runner.target(settings, database) / "preview"
    state = str(dbt_runner.state(settings, database))

    def run(*arguments: str) -> None:
        paths = ("--target-path", str(artifacts), "--log-path", str(artifacts))
        variables = {"preview_schema": SCRATCH}
        dbt_runner.execute(settings, database, [*arguments, *paths], progress, variables)

    # The lock makes builds wait: a build in between would look like an effect of the change.
    builder = database.acting_as(DBT_ROLE)
    with (
        dbt_runner.alone(database),
        dbt_runner.in_one_process(settings, database),
        builder.connect() as connection,
        _scratch(connection),
    ):
        run("parse")
        project = Catalogue(artifacts / "manifest.json")
        run(
            *("build", "--resource-type", "model", "--resource-type", "seed"),
            *("--select", *_selected(models, gold, project)),
            *("--state", state, "--defer", "--favor-state"),
        )
        tables = table_changes(connection, gold, project, SCRATCH, LEDGER)
        has_values = any(table.name == "kpi_values" for table in tables)
        return Preview(
            built_at=gold.built_at,
            tables=tables,
            deleted=sorted(gold.tables.keys() - project.tables.keys()),
            catalogue=gold.kpis | project.kpis,
            kpis=kpi_changes(connection, SCRATCH) if has_values else [],
            largest=largest(connection, SCRATCH) if has_values else [],
        )


def _selected(models: Sequence[str], gold: Catalogue, project: Catalogue) -> list[str]:
    for model in models:
        if model not in project.tables:
            raise Unknown("model or seed", model, project.tables)
    if models:
        return [f"{model}+" for model in models]
    # state:modified does not notice a changed meta of a column, such as its bands.
    metas = [{kpi_id: kpi.meta for kpi_id, kpi in known.kpis.items()} for known in (gold, project)]
    return ["state:modified+"] + ["kpi_register+"] * (metas[0] != metas[1])


@contextmanager
def _scratch(connection: psycopg.Connection) -> Iterator[None]:
    """Create the scratch schema with a copy of the ledger; drop it after the block.

    A schema that a killed preview left behind is dropped first.
    """
    schema = sql.Identifier(SCRATCH)
    drop = sql.SQL("drop schema if exists {} cascade").format(schema)
    connection.execute(drop)
    connection.execute(sql.SQL("create schema {}").format(schema))
    try:
        for table in LEDGER:
            names = (sql.Identifier(SCRATCH, table), sql.Identifier("tracksolid", table))
            copy = "create table {} (like {} including all)"
            connection.execute(sql.SQL(copy).format(*names))
            connection.execute(sql.SQL("insert into {} select * from {}").format(*names))
        yield
    finally:
        connection.execute(drop)
