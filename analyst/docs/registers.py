"""From the seeds and fixes.yml, what was agreed, fixed and fed back: lists that people keep."""

import csv
from dataclasses import dataclass
from decimal import Decimal

import yaml

from analyst.kpi.catalogue import Catalogue
from warehouse.dbt_runner import PROJECT


@dataclass(frozen=True)
class Rule:
    """A figure that somebody has to agree on, as it holds in a city (None: in all others)."""

    name: str
    city: str | None
    value: Decimal | None
    unit: str
    is_agreed: bool
    source: str

    @property
    def words(self) -> str:
        """As people read it: shift length 9 h, assumed."""
        place = f" in {self.city}" if self.city else ""
        if self.value is None:
            return f"{spaced(self.name)}{place}, not known"
        state = "agreed" if self.is_agreed else "assumed"
        return f"{spaced(self.name)}{place} {self.value:f} {self.unit}, {state}"


@dataclass(frozen=True)
class Fix:
    """A fault of the system before this one, and the tests (unique ids) that guard its fix."""

    fix_id: str
    was: str
    now: str
    guards: tuple[str, ...]


def spaced(name: str) -> str:
    """shift_length -> shift length"""
    return name.replace("_", " ")


def rules() -> list[Rule]:
    """All operating rules; several of one name if they differ by city."""
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


def fixes(catalogue: Catalogue) -> list[Fix]:
    """The fix register with the tests that are named after each."""
    register = yaml.safe_load((PROJECT / "fixes.yml").read_text())["fixes"]
    return [
        Fix(
            fix["id"],
            fix["was"],
            fix["now"],
            tuple(
                unique_id
                for unique_id, name in sorted(catalogue.tests.items(), key=lambda test: test[1])
                if name.startswith(guard_prefix(fix["id"]))
            ),
        )
        for fix in register
    ]


def guard_prefix(fix_id: str) -> str:
    """How tests of a fix are named: FIX-M16 -> fix_m16__, BUG-02 -> fix_bug_02__"""
    return "fix_" + fix_id.removeprefix("FIX-").lower().replace("-", "_") + "__"


def seed(name: str) -> list[dict[str, str]]:
    """A seed as people keep it, before dbt loads it."""
    with (PROJECT / f"seeds/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))
