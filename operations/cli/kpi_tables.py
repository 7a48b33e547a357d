"""From what the analyst's tools found to the terminal: tables and plain lines."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from analyst.kpi.catalogue import Kpi
from analyst.kpi.explain import YES_OR_NO, Rows
from analyst.kpi.preview import Preview
from analyst.kpi.rules import Rule
from analyst.kpi.show import Line
from operations.cli.command import console
from settings import settings

BANDS = ("target", "warn_at", "critical_at")
WIDE = 8  # a single row with more columns is easier to read from top to bottom


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str,
    right: Collection[str] = (),
    total: Sequence[str] = (),
) -> None:
    """A table; the columns in `right` hold numbers, `total` is its last line."""
    table = Table(title=title, title_justify="left", show_footer=bool(total))
    for at, column in enumerate(columns):
        table.add_column(
            column,
            footer=total[at] if total else "",
            justify="right" if column in right else "left",
            no_wrap=at == 0,  # a name that somebody will type
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """One line per fact; what is empty is left out."""
    lines = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        if fact not in (None, ""):
            lines.add_row(f"[bold]{name}[/]", str(fact).strip())
    console.print(lines)


def print_list(lines: Sequence[Line]) -> None:
    """A table per domain."""
    for domain in sorted({line.domain for line in lines}):
        rows = [
            (line.kpi_id, line.label, line.status, line.day, line.fleet, line.unit, line.why_empty)
            for line in lines
            if line.domain == domain
        ]
        columns = ("kpi", "label", "status", "day", "fleet", "unit", "why empty")
        print_table(columns, rows, domain, right=["fleet"])


def print_kpi(kpi: Kpi) -> None:
    """What the KPI's yml says."""
    meta = kpi.meta
    bands = ", ".join(f"{band} {meta[band]}" for band in BANDS if meta[band] is not None)
    print_facts(
        {
            "KPI": f"{kpi.kpi_id}: {meta['label']}",
            "domain": meta["domain"],
            "formula": meta["formula"],
            "unit": meta["unit"],
            "from": f"{kpi.mart.schema}.{kpi.mart.name}.{kpi.column}",
            "cities make the fleet by": meta["rollup"],
            "better is": meta["direction"],
            "bands": bands or "none agreed",
            "status": meta["kpi_status"],
            "owner": meta["kpi_owner"] or "nobody",
            "reviewer": meta["reviewer"] or "nobody",
            "cadence": f"{meta['cadence']}, {meta['tag']}",
            "panel": meta["panel"] or "none",
            "may be empty": meta["gate"] or "never",
        }
    )


def print_rules(rules: Sequence[Rule]) -> None:
    """The rules in a formula; what nobody agreed on says so."""
    if rules:
        rows = [
            (
                rule.name,
                rule.city or "all",
                _text(rule.value),
                rule.unit,
                rule.standing,
                rule.source or "",
            )
            for rule in rules
        ]
        columns = ("rule", "city", "value", "unit", "standing", "source")
        print_table(columns, rows, "Rules in the formula", right=["value"])


def print_rows(found: Rows) -> None:
    """The rows of a fact and their sums."""
    title = f"{found.fact}: {len(found.rows)} {'row' if len(found.rows) == 1 else 'rows'}"
    if len(found.rows) == 1 and len(found.columns) > WIDE:
        (row,) = found.rows
        console.print(title, style="italic", highlight=False)
        print_facts({column: _text(row[column]) or "-" for column in found.columns})
        return
    rows = [[_text(row[column]) for column in found.columns] for row in found.rows]
    sums = found.sums()
    total = [_text(sums.get(column)) for column in found.columns] if sums else []
    numbers = [column for column in sums if not YES_OR_NO.match(column)]
    print_table(found.columns, rows, title, right=numbers, total=total)


def print_preview(found: Preview) -> None:
    """Tables, then KPIs, then the values that would change most."""
    if found.deleted:
        console.print(f"no longer in the project: {', '.join(found.deleted)}", soft_wrap=True)
    if not found.tables:
        console.print(f"Nothing is modified since the build of {found.built_at[:16]} UTC.")
        return
    differs = [table for table in found.tables if table.differs]
    same = ", ".join(table.name for table in found.tables if not table.differs)
    if differs:
        rows = [(t.name, f"{t.added:,}", f"{t.gone:,}", f"{t.changed:,}") for t in differs]
        counts = ("rows added", "gone", "changed")
        print_table(("table", *counts), rows, "What would change in which table", right=counts)
    if same:
        console.print(f"built and the same as before: {same}", soft_wrap=True, highlight=False)
    if not found.kpis:
        console.print("No value of a KPI would change for the fleet or a city.")
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
    print_table(columns, changes, "KPIs: days, and the newest of them", right=columns[2:])
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


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(ZoneInfo(settings().fleet_timezone)):%Y-%m-%d %H:%M:%S}"
    return str(value)
