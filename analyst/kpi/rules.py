"""The operating rules in a KPI's formula, with what somebody has to agree on."""

from dataclasses import dataclass

import psycopg

from analyst.kpi.catalogue import Kpi

RULES = """
    select rule, city, value, unit, agreed, source
    from tracksolid.operating_rules
    where rule = any(%s)
    order by rule asc, city asc nulls last
"""


@dataclass(frozen=True)
class Rule:
    """A figure that holds in a city or, without one, in all cities that have none of their own."""

    name: str
    city: str | None
    value: object
    unit: str
    agreed: bool
    source: str | None

    @property
    def standing(self) -> str:
        if self.value is None:
            return "not known"
        return "agreed" if self.agreed else "assumed"


def rules_of(connection: psycopg.Connection, kpi: Kpi) -> list[Rule]:
    """All rules in the formula, in all cities."""
    return [Rule(*row) for row in connection.execute(RULES, [list(kpi.rules)])]


def rules_in(connection: psycopg.Connection, kpi: Kpi, city: str) -> list[Rule]:
    """The rules in the formula as they hold in a city: its own, else that of all."""
    held: dict[str, Rule] = {}
    for rule in rules_of(connection, kpi):
        if rule.city in (city, None):
            held.setdefault(rule.name, rule)
    return list(held.values())
