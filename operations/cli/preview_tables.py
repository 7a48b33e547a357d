"""The output of kpi preview on the terminal: tables, KPIs and the largest differences."""

from analyst.kpi.preview import Preview
from operations.cli.tables import print_table, say


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
        say(f"Same as before, new columns aside: {same}\n")
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
    if largest:
        print_table(headings, largest, "Largest differences", right=headings[3:])
