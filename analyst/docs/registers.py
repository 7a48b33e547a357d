"""Reads the lists that people keep: operating rules and feedback (seeds), fixes (fixes.yml)."""

import csv
from dataclasses import dataclass
from decimal import Decimal

import yaml

from analyst.kpi.catalogue import Catalogue
from analyst.kpi.rules import Rule
from warehouse.dbt_runner import PROJECT


@dataclass(frozen=True)
class RegisteredFix:
    """A mended fault: what was wrong, what holds now, the tests (unique ids) that guard it.

    A fix of the loader has no tests in dbt; `tested_in` is the file with its tests.
    """

    fix_id: str
    was: str
    now: str
    guards: tuple[str, ...]
    tested_in: str | None


def rules() -> list[Rule]:
    """Return the operating rules of the seed; a rule that differs by city has several rows."""
    return [
        Rule(
            name=row["rule"],
            city=row["city"] or None,
            value=Decimal(row["value"]) if row["value"] else None,
            unit=row["unit"],
            is_agreed=row["agreed"] == "true",
            source=row["source"],
        )
        for row in seed("operating_rules")
    ]


def fixes(catalogue: Catalogue) -> list[RegisteredFix]:
    """Return the fixes of fixes.yml, each with the tests that are named after it."""
    register = yaml.safe_load((PROJECT / "fixes.yml").read_text())["fixes"]
    return [
        RegisteredFix(
            fix["id"],
            fix["was"],
            fix["now"],
            tuple(
                unique_id
                for unique_id, name in sorted(catalogue.tests.items(), key=lambda test: test[1])
                if name.startswith(guard_prefix(fix["id"]))
            ),
            fix.get("tested_in"),
        )
        for fix in register
    ]


def guard_prefix(fix_id: str) -> str:
    """Return how the names of a fix's tests begin: FIX-M16 -> fix_m16__, BUG-02 -> fix_bug_02__"""
    return "fix_" + fix_id.removeprefix("FIX-").lower().replace("-", "_") + "__"


def seed(name: str) -> list[dict[str, str]]:
    """Return the rows of seeds/NAME.csv, all values as text."""
    with (PROJECT / f"seeds/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))
