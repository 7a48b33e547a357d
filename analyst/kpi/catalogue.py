"""From a manifest, the KPIs and tables: dbt's yml is their only source."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database, DatabaseError


class Unknown(Exception):
    """There is no such thing; the text says what there is."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        there_are = sorted(known)
        close = get_close_matches(name, there_are, n=8, cutoff=0.4) or there_are[:8]
        more = len(there_are) - len(close)
        also = f" and {more} more" if more else ""
        super().__init__(f"there is no {what} {name!r}; there are: {', '.join(close)}{also}")


@dataclass(frozen=True)
class Table:
    """What dbt knows of a model, a seed or a snapshot."""

    name: str
    unique_id: str
    schema: str
    description: str
    key: tuple[str, ...]  # of its primary key constraint; none for views and seeds
    columns: tuple[str, ...]
    code: str
    reads: tuple[str, ...]  # names of the tables it stands on

    @property
    def grain(self) -> str:
        """The first sentence of its description."""
        return self.description.split(". ")[0].rstrip(".") + "."


@dataclass(frozen=True)
class Kpi:
    """A column of a mart and what its yml says of it."""

    mart: Table
    column: str
    meta: dict[str, Any]

    @property
    def kpi_id(self) -> str:
        return str(self.meta["kpi_id"])

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(self.meta["rules"])

    def shown(self, value: object, *, unit: bool = True) -> str:
        """A value with the KPI's decimals, and its unit; a dash is not known."""
        if value is None:
            return "–"
        number = f"{value:,.{self.meta['decimals']}f}"
        return f"{number} {self.meta['unit']}" if unit else number


class Catalogue:
    """KPIs by id, tables by name and the names of tests, as a manifest has them."""

    def __init__(self, manifest: Path) -> None:
        document = json.loads(manifest.read_text())
        self.built_at = str(document["metadata"]["generated_at"])
        nodes = {
            unique_id: node
            for unique_id, node in document["nodes"].items()
            if node["resource_type"] in ("model", "seed", "snapshot")
        }
        self.tables = {node["name"]: _table(node, nodes) for node in nodes.values()}
        kpis = (
            Kpi(self.tables[node["name"]], column["name"], column["meta"])
            for node in nodes.values()
            for column in node["columns"].values()
            if "kpi_id" in column["meta"]
        )
        self.kpis = {kpi.kpi_id: kpi for kpi in sorted(kpis, key=lambda kpi: kpi.kpi_id)}
        tests = [*document["nodes"].values(), *document["unit_tests"].values()]
        self.tests = {
            test["unique_id"]: str(test["name"])
            for test in tests
            if test["resource_type"] in ("test", "unit_test")
        }

    @classmethod
    def of_gold(cls, settings: Settings, database: Database) -> "Catalogue":
        """The catalogue that gold was built from.

        Raises DatabaseError if nothing was built from here.
        """
        manifest = dbt_runner.state(settings, database) / "manifest.json"
        if not manifest.exists():
            raise DatabaseError(
                f"no build of {database.name} is known here: run orchestrate.py build"
            )
        return cls(manifest)

    def kpi(self, kpi_id: str) -> Kpi:
        """Raises Unknown."""
        if kpi_id not in self.kpis:
            raise Unknown("KPI", kpi_id, self.kpis)
        return self.kpis[kpi_id]

    def domains(self) -> set[str]:
        return {kpi.meta["domain"] for kpi in self.kpis.values()}

    def facts_under(self, mart: Table) -> list[Table]:
        """The facts a mart reads."""
        return [self.tables[name] for name in mart.reads if name.startswith("fact_")]


def _table(node: dict[str, Any], nodes: dict[str, Any]) -> Table:
    keys = [c["columns"] for c in node.get("constraints", []) if c["type"] == "primary_key"]
    reads = node["depends_on"].get("nodes", [])
    return Table(
        name=node["name"],
        unique_id=node["unique_id"],
        schema=node["schema"],
        description=" ".join(node["description"].split()),
        key=tuple(keys[0]) if keys else (),
        columns=tuple(node["columns"]),
        code=node["raw_code"],
        reads=tuple(sorted(nodes[name]["name"] for name in reads if name in nodes)),
    )
