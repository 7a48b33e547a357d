"""From gold, what the KPIs say: all of them now, one of them over the last days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from analyst.kpi.catalogue import Catalogue, Kpi, Unknown

DAYS = 14

NOW = "select kpi_id, day, value, gate_reason from dwh_gold.kpi_now where scope = 'fleet'"
HISTORY = """
    select scope, scope_value, day, value
    from dwh_gold.kpi_values
    where
        kpi_id = %(kpi_id)s and scope in ('fleet', 'city')
        and day > (select max(day) from dwh_gold.kpi_values) - %(days)s
    union all
    select scope, scope_value, null, value
    from dwh_gold.kpi_now
    where kpi_id = %(kpi_id)s and scope in ('fleet', 'city') and day is null
    order by scope desc, scope_value asc, day asc
"""


NO_DAY = "now"  # of a KPI that is about this moment


@dataclass(frozen=True)
class History:
    """Values of a KPI by day and place, the fleet before its cities."""

    places: Sequence[str]
    days: Sequence[str]
    values: dict[tuple[str, str], object]


class Line(NamedTuple):
    """A KPI in the list; `fleet` is its value on the newest day that is over, or now."""

    kpi_id: str
    label: str
    domain: str
    unit: str
    status: str
    day: str
    fleet: str
    why_empty: str


def kpi_list(
    connection: psycopg.Connection, catalogue: Catalogue, domain: str | None
) -> list[Line]:
    """All KPIs, or those of a domain.

    Raises Unknown for a domain that no KPI has.
    """
    if domain and domain not in catalogue.domains():
        raise Unknown("domain", domain, catalogue.domains())
    now = {kpi_id: row for kpi_id, *row in connection.execute(NOW)}
    lines = []
    for kpi in catalogue.kpis.values():
        if domain in (None, kpi.meta["domain"]):
            day, value, why = now.get(kpi.kpi_id, ("-", None, "not built yet"))
            lines.append(
                Line(
                    kpi.kpi_id,
                    kpi.meta["label"],
                    kpi.meta["domain"],
                    kpi.meta["unit"],
                    kpi.meta["kpi_status"],
                    str(day or NO_DAY),
                    "" if value is None else kpi.shown(value, unit=False),
                    why or "",
                )
            )
    return lines


def history(connection: psycopg.Connection, kpi: Kpi) -> History:
    """The last 14 days of the fleet and of each city, or what holds now."""
    found = connection.execute(HISTORY, {"kpi_id": kpi.kpi_id, "days": DAYS}).fetchall()
    values = {(str(day or NO_DAY), place): value for _, place, day, value in found}
    return History(
        places=list(dict.fromkeys(place for _, place, *_ in found)),
        days=sorted({day for day, _ in values}),
        values=values,
    )
