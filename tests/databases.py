"""Databases of tests: clones of a few that are made once for all workers of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import warm_dbt
from psycopg import sql
from shared import Shared

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database
from warehouse.migrate import MIGRATIONS

# dbt run of what holds rows: a view of an empty, built database stays as it is.
RUN_TABLES = ("run", "--exclude", "config.materialized:view")
OF_THE_DATABASE = ("0001_schemas.sql", "0002_roles.sql")


@dataclass(frozen=True)
class Built:
    """A database that dbt has built, and settings with the folder that dbt knows it by."""

    settings: Settings
    database: Database


class Databases:
    """Makes databases on the server of this run."""

    def __init__(self, server: Database, shared: Shared) -> None:
        self.server, self.shared = server, shared

    def empty(self) -> Database:
        """Nothing in it, not even the schemas."""
        return self._create("")

    def migrated(self) -> Database:
        """The migrations are applied."""
        return self.clone("migrated", self.empty, lambda database, _: database.prepare())

    def with_raw(self) -> Database:
        """All raw tables are there, without a row."""

        def fill(database: Database, work_dir: Path) -> None:
            from loader.landing import Landing

            Landing(database, work_dir).prepare()

        return self.clone("raw", self.migrated, fill)

    def built_empty(self, work_dir: Path) -> Built:
        """dbt has built everything of raw tables without a row."""

        def fill(database: Database, folder: Path) -> None:
            build_untested(database, folder)

        database = self.clone("built_empty", self.with_raw, fill)
        return self.with_target("built_empty", database, Settings(work_dir=work_dir))

    def clone(
        self, name: str, start: Callable[[], Database], fill: Callable[[Database, Path], object]
    ) -> Database:
        """A copy of the database that one worker makes for all: `start`, and then `fill` it."""

        def make() -> str:
            database = start()
            fill(database, self.folder(name))
            return database.name

        cloned = self._create(f"template {self.shared.once(name, make)}")
        with cloned.connect() as connection:
            for file in OF_THE_DATABASE:  # a clone has neither its settings nor rights on it
                connection.execute((MIGRATIONS / file).read_bytes())
        return cloned

    def folder(self, name: str) -> Path:
        """The work folder in which the original of the clones was made."""
        return self.shared.folder / "work" / name

    def with_target(self, name: str, database: Database, settings: Settings) -> Built:
        """Give a clone of `name` what dbt has written of the original: manifest, parse, state."""
        original = self.server.sibling(self.shared.once(name, _unmade), create=False)
        source = dbt_runner.target(Settings(work_dir=self.folder(name)), original)
        target = dbt_runner.target(settings, database)
        target.mkdir(parents=True)
        for file in ("manifest.json", "run_results.json", "state/manifest.json"):
            if (source / file).exists():
                (target / file).parent.mkdir(exist_ok=True)
                text = (source / file).read_text().replace(original.name, name_of(database))
                (target / file).write_text(text)
        self.parsed(settings.work_dir, database)
        return Built(settings, database)

    def parsed(self, work_dir: Path, database: Database) -> str:
        """Let a program that gets this work folder and the returned URL begin with our parse."""
        known = dbt_runner._own(Settings(work_dir=work_dir), database)
        warm_dbt.give_parse(self.shared, known)
        return database.url

    def _create(self, how: str) -> Database:
        name = f"test_{uuid4().hex[:12]}"  # always as long: see warm_dbt.py
        with self.server.connect() as connection:
            statement = sql.SQL("create database {} " + how).format(sql.Identifier(name))
            connection.execute(statement)
        return self.server.sibling(name, create=False)


def build_untested(database: Database, work_dir: Path, *options: str) -> None:
    """dbt build without the tests, which take as long again: seeds, models and functions."""
    words = ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
    dbt_runner.run(Settings(work_dir=work_dir), database, [*words, *options], lambda *_: None)


def name_of(database: Database) -> str:
    """The name on its server, which for a given server's is only the end of Database.name."""
    return database.environment()["PGDATABASE"]


def _unmade() -> str:
    raise AssertionError("clone it first")
