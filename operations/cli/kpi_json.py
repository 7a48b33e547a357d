"""The output of the kpi commands as JSON and CSV: plain numbers, names of docs/JSON.md."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from analyst.kpi.catalogue import Kpi
from analyst.kpi.explain import Explanation
from analyst.kpi.rules import Rule
from analyst.kpi.show import NO_DAY, History, KpiNow

DEFINITION = (
    "formula", "rollup", "direction", "target", "warn_at", "critical_at", "cadence", "tag",
    "kpi_owner", "reviewer", "panel", "gate",
)  # fmt: skip


def kpi_fields(known: KpiNow) -> dict[str, Any]:
    """Return a KPI's row of the list, with the fleet's newest value, or None and why_empty."""
    meta = known.kpi.meta
    return {
        "kpi_id": known.kpi.kpi_id,
        "label": meta["label"],
        "domain": meta["domain"],
        "unit": meta["unit"],
        "kpi_status": meta["kpi_status"],
        "day": known.day,
        "fleet_value": known.value,
        "why_empty": known.why_empty,
    }


def shown_kpi(known: KpiNow, rules: Sequence[Rule], last_days: History) -> dict[str, Any]:
    """Return a KPI with its definition, its rules and its values of the last 14 days."""
    kpi = known.kpi
    return {
        **kpi_fields(known),
        "column": f"{kpi.mart.schema}.{kpi.mart.name}.{kpi.column}",
        **{name: kpi.meta[name] for name in DEFINITION},
        "rules": [asdict(rule) for rule in rules],
        "values": [
            {"day": None if day == NO_DAY else day, "place": place, "value": value}
            for (day, place), value in last_days.values.items()
        ],
    }


def explained_kpi(kpi: Kpi, day: date, found: Explanation) -> dict[str, Any]:
    """Return a vehicle's value on a day, with its rules and the rows it is made of."""
    return {
        "kpi_id": kpi.kpi_id,
        "unit": kpi.meta["unit"],
        "formula": kpi.meta["formula"],
        "day": day,
        "first_day": found.first_day,
        "vehicle_id": found.vehicle_id,
        "imei": found.imei,
        "other_imeis": list(found.other_imeis),
        "city": found.city,
        "value": found.value,
        "rules": [asdict(rule) for rule in found.rules],
        "facts": [
            {"fact": fact.fact, "rows": [dict(row) for row in fact.rows], "sums": fact.sums()}
            for fact in found.facts
        ],
        "rejections": [dict(row) for row in found.rejections.rows],
        "superseded": [dict(row) for row in found.superseded.rows],
    }
