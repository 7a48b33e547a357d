"""Reads values of KPIs from gold: the newest of each, and one KPI over the last 14 days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import psycopg

from analyst.kpi.catalogue import Catalogue, Kpi, Unknown

DAYS = 14

NOW = """
    select kpi_id, day, value, gate_reason
    from dwh_gold.kpi_now
    where scope = 'fleet' and kpi_id = any(%s)
"""
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


NO_DAY = "now"  # a live KPI has no day


@dataclass(frozen=True)
class History:
    """Values of a KPI by (day, place). `places` has the fleet first, then the cities."""

    places: Sequence[str]
    days: Sequence[str]
    values: dict[tuple[str, str], Decimal | None]


@dataclass(frozen=True)
class KpiNow:
    """A KPI and the fleet's newest value: of the newest day that is over, or of this moment."""

    kpi: Kpi
    day: date | None  # None: live, or never built
    value: Decimal | None
    why_empty: str | None  # set if and only if `value` is None


def kpi_list(
    connection: psycopg.Connection, catalogue: Catalogue, domain: str | None = None
) -> list[KpiNow]:
    """Return all KPIs, or those of one domain, with the fleet's newest value.

    Raises Unknown for a domain that no KPI has.
    """
    if domain and domain not in catalogue.domains():
        raise Unknown("domain", domain, catalogue.domains())
    kpis = catalogue.kpis.values()
    return newest(connection, [kpi for kpi in kpis if domain in (None, kpi.meta["domain"])])


def newest(connection: psycopg.Connection, kpis: Sequence[Kpi]) -> list[KpiNow]:
    """Return the fleet's newest value of each of these KPIs."""
    found = {
        kpi_id: (day, value, None if value is not None else why)
        for kpi_id, day, value, why in connection.execute(NOW, [[kpi.kpi_id for kpi in kpis]])
    }
    unknown = (None, None, "not built yet: run orchestrate.py build")
    return [KpiNow(kpi, *found.get(kpi.kpi_id, unknown)) for kpi in kpis]


def history(connection: psycopg.Connection, kpi: Kpi) -> History:
    """Return the values of the last 14 days for the fleet and each city; of now if it is live."""
    found = connection.execute(HISTORY, {"kpi_id": kpi.kpi_id, "days": DAYS}).fetchall()
    values = {(str(day or NO_DAY), place): value for _, place, day, value in found}
    return History(
        places=list(dict.fromkeys(place for _, place, *_ in found)),
        days=sorted({day for day, _ in values}),
        values=values,
    )
