"""The output of the kpi commands on the terminal: the results of analyst/kpi as tables."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from analyst.kpi.catalogue import Kpi, domain_rank
from analyst.kpi.explain import YES_OR_NO, Explanation, Rows
from analyst.kpi.rules import Rule
from analyst.kpi.show import NO_DAY, History, KpiNow
from analyst.values import cell
from operations.cli.tables import print_facts, print_groups, print_table, say
from settings import settings

BANDS = ("target", "warn_at", "critical_at")
USES = {
    "DASHBOARD": "on dashboards",
    "ALERT": "for alerts",
    "MONTHLY": "in the monthly report",
    "AD-HOC": "for single questions",
}
WIDE = 8  # a single row with more columns is printed as one line per column


def print_list(kpis: Sequence[KpiNow]) -> None:
    """Print a table per domain with a line per KPI; kpi show says why a value is missing."""
    domains = sorted({known.kpi.meta["domain"] for known in kpis}, key=domain_rank)
    groups = {
        domain: [
            (
                known.kpi.kpi_id,
                known.kpi.meta["label"],
                known.kpi.shown(known.value),
                str(known.day or NO_DAY),
                known.kpi.meta["kpi_status"],
            )
            for known in kpis
            if known.kpi.meta["domain"] == domain
        ]
        for domain in domains
    }
    columns = ("kpi", "label", "fleet", "day", "status")
    print_groups(columns, groups, right=["fleet"], optional=["day", "status"])
    if newest := max((known.day for known in kpis if known.day), default=None):
        say(f"Daily values are of {newest}; live ones are of now.")


def print_kpi(known: KpiNow) -> None:
    """Print the definition of a KPI and its newest value, or why it has none."""
    kpi, meta = known.kpi, known.kpi.meta
    bands = ", ".join(f"{band} {kpi.shown(meta[band])}" for band in BANDS if meta[band] is not None)
    when = f" ({known.day or NO_DAY})"
    print_facts(
        {
            "KPI": f"{kpi.kpi_id}: {meta['label']}",
            "fleet": kpi.shown(known.value) + when if known.value is not None else "not known",
            "why empty": known.why_empty,
            "domain": meta["domain"],
            "formula": meta["formula"],
            "unit": meta["unit"],
            "from": f"{kpi.mart.schema}.{kpi.mart.name}.{kpi.column}",
            "roll-up": _roll_up(meta),
            "better is": meta["direction"],
            "bands": bands or "none agreed",
            "status": meta["kpi_status"],
            "owner": meta["kpi_owner"] or "nobody",
            "reviewer": meta["reviewer"] or "nobody",
            "cadence": f"{meta['cadence']}, {USES[meta['tag']]}",
            "panel": meta["panel"] or "none",
            "can be empty": meta["gate"] or "never",
        }
    )


def _roll_up(meta: Mapping[str, Any]) -> str:
    """How the value of several cities or days is made of theirs."""
    if meta.get("numerator"):
        return f"ratio of sums: {meta['numerator']} / {meta['denominator']}"
    return f"{meta['rollup']} of the cities"


def print_rules(rules: Sequence[Rule]) -> None:
    """Print the rules in a formula; each is agreed, assumed or not known."""
    rows = [
        (rule.name, rule.city or "all", rule.shown_value, rule.unit, rule.state, rule.reason)
        for rule in rules
    ]
    if rows:
        columns = ("rule", "city", "value", "unit", "state", "source")
        print_table(columns, rows, "Rules in the formula", right=["value"])


def print_history(kpi: Kpi, known: History) -> None:
    """Print a row per day, with a column for the fleet and each city."""
    rows = [
        (day, *(kpi.shown(known.values.get((day, place)), unit=False) for place in known.places))
        for day in known.days
    ]
    title = f"{kpi.meta['label']}, {kpi.meta['unit']} (a dash: not known)"
    print_table(("day", *known.places), rows, title, right=known.places)


def print_explanation(kpi: Kpi, day: object, found: Explanation) -> None:
    """Print a vehicle's value on a day, with its formula, rules and rows."""
    value = kpi.shown(found.value)
    if found.value is None:
        value = f"not known. {kpi.meta['gate'] or ''}"
    say(f"{kpi.meta['label']}: {value}", style="bold")
    print_facts(
        {
            "vehicle": f"{found.vehicle_id} in {found.city} on {day}, device {found.imei}",
            "not counted": "".join(f"device {imei} " for imei in found.other_imeis),
            "formula": kpi.meta["formula"],
            "from": f"{kpi.mart.schema}.{kpi.mart.name}.{kpi.column}",
            "days before": ", ".join(
                f"{then:%m-%d}: {kpi.shown(earlier, unit=False)}"
                for then, earlier in found.before.items()
            ),
        }
    )
    print_rules(found.rules)
    if str(found.first_day) < str(day):
        say(f"The value and the rows below are of all days since {found.first_day}.")
    for fact in found.facts:
        print_rows(fact, str(day))
    if found.rejections.rows:
        say("Records that arrived on these days and do not count:")
        print_rows(found.rejections, str(day))
    if found.superseded.rows:
        say("Reports of trips and stops that do not count, because a better report replaces them:")
        print_rows(found.superseded, str(day))


def print_rows(found: Rows, day: str) -> None:
    """Print the rows of a fact, with their sums as the last row.

    A column with the same text in all rows, which is no quantity, is printed once below the title.
    A time on `day` is printed without its date.
    """
    title = f"{found.fact}: {len(found.rows)} {'row' if len(found.rows) == 1 else 'rows'}"
    if len(found.rows) == 1 and len(found.columns) > WIDE:
        (row,) = found.rows
        say(title, style="bold")
        print_facts({column: _text(row[column], day) for column in found.columns})
        return
    sums = found.sums()
    same = [
        column
        for column in found.columns
        if len(found.rows) > 1
        and len({row[column] for row in found.rows}) == 1
        and (column not in sums or YES_OR_NO.match(column))
    ]
    columns = [column for column in found.columns if column not in same]
    say(title, style="bold")
    if same:
        texts = (f"{column} {_text(found.rows[0][column], day)}" for column in same)
        say(f"In all rows: {', '.join(texts)}")
    rows = [[_text(row[column], day) for column in columns] for row in found.rows]
    total = [_text(sums[c], day) if c in sums else "" for c in columns] if sums else []
    numbers = [
        column
        for column in columns
        if any(isinstance(row[column], int | Decimal) for row in found.rows)
        and not YES_OR_NO.match(column)
    ]
    print_table(columns, rows, right=numbers, total=total)


def _text(value: object, day: str) -> str:
    return cell(value, ZoneInfo(settings().fleet_timezone)).removeprefix(f"{day} ")
