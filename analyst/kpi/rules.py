"""The operating rules: figures that the client has to agree to, such as the length of a shift."""

from dataclasses import dataclass
from decimal import Decimal

import psycopg

from analyst.kpi.catalogue import Kpi
from analyst.values import shown

RULES = """
    select rule, city, value, unit, agreed, coalesce(source, '')
    from tracksolid.operating_rules
    where rule = any(%s)
    order by rule asc, city asc nulls last
"""


@dataclass(frozen=True)
class Rule:
    """An operating rule of one city; `city` None is for all cities without a rule of their own."""

    name: str
    city: str | None
    value: Decimal | None
    unit: str
    is_agreed: bool
    source: str

    @property
    def state(self) -> str:
        """ "agreed", "assumed" (in use, but nobody has agreed) or "not known" (no value)."""
        if self.value is None:
            return "not known"
        return "agreed" if self.is_agreed else "assumed"

    @property
    def shown_value(self) -> str:
        """The value without its unit; a dash if it is not known."""
        return shown(self.value, self.unit, with_unit=False)

    @property
    def reason(self) -> str:
        """Where the value comes from; empty if it is only assumed."""
        return reason(self.source)

    @property
    def words(self) -> str:
        """The rule in words: "shift length in Mombasa 9 h, assumed"."""
        place = f" in {self.city}" if self.city else ""
        value = "" if self.value is None else f" {shown(self.value, self.unit)}"
        return f"{spaced(self.name)}{place}{value}, {self.state}"


def reason(source: str) -> str:
    """Return "assumed: 08:00 to 17:00" as "08:00 to 17:00", and "assumed" as an empty text."""
    return source.removeprefix("assumed").removeprefix(": ")


def spaced(name: str) -> str:
    """Return a name with spaces: shift_length as "shift length"."""
    return name.replace("_", " ")


def rules_of(connection: psycopg.Connection, kpi: Kpi) -> list[Rule]:
    """Return the rules in the formula of `kpi`, of all cities."""
    return [Rule(*row) for row in connection.execute(RULES, [list(kpi.rules)])]


def rules_in(connection: psycopg.Connection, kpi: Kpi, city: str) -> list[Rule]:
    """Return the rules in the formula of `kpi` for `city`: its own rule, else the general one."""
    held: dict[str, Rule] = {}
    for rule in rules_of(connection, kpi):
        if rule.city in (city, None):
            held.setdefault(rule.name, rule)
    return list(held.values())
