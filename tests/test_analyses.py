"""The analytics library: dbt compiles every question, and a role that reads only gold runs it."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database

ANALYSES = dbt_runner.PROJECT / "analyses"
QUESTIONS = sorted(path.stem for path in ANALYSES.glob("*.sql"))
HEADER = re.compile(
    r"-- Question: (?P<question>.+?)\n-- Tag: (?P<tag>.+?)\n-- Status: (?P<status>.+?)\n"
    r"-- Read: (?P<read>.+?)\n\n",
    re.DOTALL,
)
TAGS = {"DASHBOARD", "ALERT", "MONTHLY", "AD-HOC"}
STATUS = re.compile(r"Ready|(Needs data|Blocked): .+")


class Library:
    """The compiled library on a fleet's database; queries run as the role reader_of_gold."""

    def __init__(self, database: Database, target: Path) -> None:
        self.database = database
        self.compiled = target / "compiled/dbt_fireside/analyses"
        manifest = json.loads((target / "manifest.json").read_text())
        self.nodes: dict[str, dict[str, Any]] = {
            node["name"]: node
            for node in manifest["nodes"].values()
            if node["resource_type"] == "analysis"
        }

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            connection.execute("set role reader_of_gold")
            return connection.execute(
                (self.compiled / f"{name}.sql").read_text().encode()
            ).fetchall()


@pytest.fixture(scope="module")
def library(
    server: Database, gold: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> Library:
    database = server.sibling(gold.info.dbname, create=False)
    settings = Settings(work_dir=tmp_path_factory.mktemp("work"))
    dbt_runner.run(
        settings, database, ["compile", "--select", "resource_type:analysis"], lambda *_: None
    )
    gold.execute("create role reader_of_gold")
    gold.execute("grant usage on schema dwh_gold to reader_of_gold")
    gold.execute("grant select on all tables in schema dwh_gold to reader_of_gold")
    return Library(database, dbt_runner.target(settings, database))


def header(name: str) -> dict[str, str]:
    """The fields of a file's header comment, each joined to one line."""
    found = HEADER.match((ANALYSES / f"{name}.sql").read_text())
    assert found, f"{name}.sql must start with Question, Tag, Status and Read"
    return {
        key: re.sub(r"\s*(\n--)?\s+", " ", text).strip() for key, text in found.groupdict().items()
    }


def test_library_has_twenty_questions_and_all_are_in_the_docs(library: Library) -> None:
    assert len(QUESTIONS) >= 20
    assert sorted(library.nodes) == QUESTIONS


@pytest.mark.parametrize("name", QUESTIONS)
def test_header_and_docs_agree(name: str, library: Library) -> None:
    fields = header(name)
    meta = library.nodes[name]["config"]["meta"]
    assert fields["question"].endswith("?")
    assert fields["tag"] in TAGS
    assert STATUS.fullmatch(fields["status"])
    assert (fields["tag"], fields["status"]) == (meta["tag"], meta["status"])
    assert library.nodes[name]["description"].strip() == f"{fields['question']} {fields['read']}"


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_is_answered_from_gold_alone(name: str, library: Library) -> None:
    rows = library.rows(name)
    assert rows or header(name)["status"] != "Ready"


def test_gold_reader_cannot_read_staging(library: Library) -> None:
    with library.database.connect() as connection:
        connection.execute("set role reader_of_gold")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select from tracksolid.trips")
