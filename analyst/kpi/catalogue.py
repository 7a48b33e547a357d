"""Reads KPIs and tables from dbt's manifest: the models' yml is their only definition."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from analyst.values import shown
from settings import Settings
from warehouse import dbt_runner
from warehouse.database import Database, DatabaseError

# The order of the domains on every page; a domain that is not listed comes last.
DOMAINS = (
    "Fleet utilisation",
    "Technician productivity",
    "Dispatch",
    "Driver behaviour",
    "Cost and fuel",
    "Vehicle health",
    "Zones",
    "Readiness and data quality",
)


def domain_rank(domain: str) -> tuple[int, str]:
    """Return a sort key that puts domains in the order of DOMAINS."""
    return (DOMAINS.index(domain) if domain in DOMAINS else len(DOMAINS), domain)


class Unknown(Exception):
    """A name does not exist. The text lists similar names."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        there_are = sorted(known)
        close = get_close_matches(name, there_are, n=8, cutoff=0.4) or there_are[:8]
        more = len(there_are) - len(close)
        also = f" and {more} more" if more else ""
        super().__init__(f"there is no {what} {name!r}; there are: {', '.join(close)}{also}")


@dataclass(frozen=True)
class Relation:
    """A model, seed or snapshot, as the manifest describes it."""

    name: str
    unique_id: str
    schema: str
    description: str
    key: tuple[str, ...]  # columns of the primary key; empty for views and seeds
    columns: tuple[str, ...]
    code: str
    reads: tuple[str, ...]  # names of the relations it selects from

    @property
    def grain(self) -> str:
        """The first sentence of the description."""
        return self.description.split(". ")[0].rstrip(".") + "."


@dataclass(frozen=True)
class Kpi:
    """A KPI: a column of a mart, with the meta of its yml."""

    mart: Relation
    column: str
    meta: dict[str, Any]

    @property
    def kpi_id(self) -> str:
        return str(self.meta["kpi_id"])

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(self.meta["rules"])

    def shown(self, value: Decimal | float | None, *, unit: bool = True) -> str:
        """Return `value` as text with the KPI's decimals, and with its unit if `unit`."""
        return shown(value, self.meta["unit"], self.meta["decimals"], with_unit=unit)


class Catalogue:
    """KPIs by id, relations by name and tests by unique id, read from `manifest` (a JSON file)."""

    def __init__(self, manifest: Path) -> None:
        document = json.loads(manifest.read_text())
        self.built_at = str(document["metadata"]["generated_at"])
        nodes = {
            unique_id: node
            for unique_id, node in document["nodes"].items()
            if node["resource_type"] in ("model", "seed", "snapshot")
        }
        self.tables = {node["name"]: _relation(node, nodes) for node in nodes.values()}
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
        """Return the catalogue of the manifest that gold was last built from.

        Raises DatabaseError if this work folder has no build of the database.
        """
        manifest = dbt_runner.state(settings, database) / "manifest.json"
        if not manifest.exists():
            raise DatabaseError(
                f"no build of {database.name} in {settings.work_dir}: run orchestrate.py build,"
                " or name another database with --db"
            )
        return cls(manifest)

    def kpi(self, kpi_id: str) -> Kpi:
        """Return the KPI with this id. Raises Unknown."""
        if kpi_id not in self.kpis:
            raise Unknown("KPI", kpi_id, self.kpis)
        return self.kpis[kpi_id]

    def domains(self) -> list[str]:
        """Return the domains that have a KPI, in the order of DOMAINS."""
        return sorted({kpi.meta["domain"] for kpi in self.kpis.values()}, key=domain_rank)

    def facts_under(self, mart: Relation) -> list[Relation]:
        """Return the facts that `mart` reads."""
        return [self.tables[name] for name in mart.reads if name.startswith("fact_")]


def _relation(node: dict[str, Any], nodes: dict[str, Any]) -> Relation:
    keys = [c["columns"] for c in node.get("constraints", []) if c["type"] == "primary_key"]
    reads = node["depends_on"].get("nodes", [])
    return Relation(
        name=node["name"],
        unique_id=node["unique_id"],
        schema=node["schema"],
        description=" ".join(node["description"].split()),
        key=tuple(keys[0]) if keys else (),
        columns=tuple(node["columns"]),
        code=node["raw_code"],
        reads=tuple(sorted(nodes[name]["name"] for name in reads if name in nodes)),
    )
