"""The output of the kpi commands on the terminal: the results of analyst/kpi as tables."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from analyst.kpi.catalogue import Kpi, domain_rank
from analyst.kpi.explain import YES_OR_NO, Explanation, Rows
from analyst.kpi.preview import Preview
from analyst.kpi.rules import Rule
from analyst.kpi.show import NO_DAY, History, KpiNow
from analyst.values import cell
from operations.cli.tables import print_facts, print_table, say
from settings import settings

BANDS = ("target", "warn_at", "critical_at")
WIDE = 8  # a single row with more columns is printed as one line per column


def print_list(kpis: Sequence[KpiNow]) -> None:
    """Print a table per domain with a line per KPI; kpi show says why a value is missing."""
    for domain in sorted({known.kpi.meta["domain"] for known in kpis}, key=domain_rank):
        rows = [
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
        columns = ("kpi", "label", "fleet", "day", "status")
        print_table(columns, rows, domain, right=["fleet"], optional=["day", "status"])


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
            "roll-up": f"{meta['rollup']} of the cities",
            "better is": meta["direction"],
            "bands": bands or "none agreed",
            "status": meta["kpi_status"],
            "owner": meta["kpi_owner"] or "nobody",
            "reviewer": meta["reviewer"] or "nobody",
            "cadence": f"{meta['cadence']}, {meta['tag']}",
            "panel": meta["panel"] or "none",
            "can be empty": meta["gate"] or "never",
        }
    )


def print_rules(rules: Sequence[Rule]) -> None:
    """Print the rules in a formula; each is agreed, assumed or not known."""
    rows = [
        (rule.name, rule.city or "all", rule.shown_value, rule.unit, rule.state, rule.source)
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
            "not counted": found.other_imeis and f"device {', '.join(found.other_imeis)}",
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
        print_rows(fact)


def print_rows(found: Rows) -> None:
    """Print the rows of a fact, with their sums as the last row."""
    title = f"{found.fact}: {len(found.rows)} {'row' if len(found.rows) == 1 else 'rows'}"
    if len(found.rows) == 1 and len(found.columns) > WIDE:
        (row,) = found.rows
        say(title, style="bold")
        print_facts({column: _text(row[column]) for column in found.columns})
        return
    rows = [[_text(row[column]) for column in found.columns] for row in found.rows]
    sums = found.sums()
    total = [_text(sums[c]) if c in sums else "" for c in found.columns] if sums else []
    numbers = [column for column in sums if not YES_OR_NO.match(column)]
    print_table(found.columns, rows, title, right=numbers, total=total)


def print_preview(found: Preview) -> None:
    """Print the differences: tables, then KPIs, then the largest ones."""
    if found.deleted:
        say(f"No longer in the project: {', '.join(found.deleted)}")
    if not found.tables:
        say(f"Nothing is modified since the build of {found.built_at[:16]} UTC.")
        return
    differs = [table for table in found.tables if table.differs]
    same = ", ".join(table.name for table in found.tables if not table.differs)
    if differs:
        rows = [(t.name, f"{t.added:,}", f"{t.gone:,}", f"{t.changed:,}") for t in differs]
        counts = ("added", "gone", "changed")
        print_table(("table", *counts), rows, "Tables that would change", right=counts)
    if same:
        say(f"Built, and the same as before: {same}")
    if not found.kpis:
        say("No value of a KPI would change for the fleet or a city.")
        return
    _print_kpi_changes(found)


def _print_kpi_changes(found: Preview) -> None:
    kpis = found.catalogue
    changes = [
        (
            change.kpi_id,
            change.city,
            f"{change.added:,}",
            f"{change.gone:,}",
            f"{change.changed:,}",
            str(change.newest_day),
            kpis[change.kpi_id].shown(change.old_value, unit=False),
            kpis[change.kpi_id].shown(change.new_value, unit=False),
        )
        for change in found.kpis
    ]
    columns = ("kpi", "city", "added", "gone", "changed", "newest day", "old", "new")
    print_table(
        columns,
        changes,
        "KPIs that would change: number of days, and the newest day",
        right=columns[2:],
    )
    largest = [
        (
            value.kpi_id,
            value.city,
            str(value.day),
            kpis[value.kpi_id].shown(value.old_value, unit=False),
            kpis[value.kpi_id].shown(value.new_value, unit=False),
            kpis[value.kpi_id].shown(value.new_value - value.old_value, unit=False),
        )
        for value in found.largest
    ]
    headings = ("kpi", "city", "day", "old", "new", "difference")
    print_table(headings, largest, "Largest differences", right=headings[3:])


def _text(value: object) -> str:
    return cell(value, ZoneInfo(settings().fleet_timezone))
