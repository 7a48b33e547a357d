"""Writes pages in git from dbt's manifest: docs/KPI_FRAMEWORK.md and parts of CLAUDE.md."""

from pathlib import Path

from analyst.docs.client_pages import INTRODUCTION
from analyst.docs.framework import Framework, table
from analyst.docs.registers import fixes, guard_prefix
from analyst.kpi.catalogue import Catalogue
from settings import ROOT

HEAD = """\
# KPI framework

`make docs` writes this page from the definitions beside the models; do not edit it here.
`public/index.html` also has the newest values, open decisions and the client's feedback.
"""


def documents(catalogue: Catalogue) -> dict[Path, str]:
    """Return the generated files and the text that each must have."""
    context = ROOT / "CLAUDE.md"
    parts = {"schema": schema(catalogue), "fixes": fix_history(catalogue)}
    return {
        ROOT / "docs/KPI_FRAMEWORK.md": kpi_framework(catalogue),
        context: replaced(context.read_text(), parts),
    }


def write(catalogue: Catalogue) -> list[Path]:
    """Rewrite the files that are out of date and return them."""
    stale = [(path, text) for path, text in documents(catalogue).items() if _read(path) != text]
    for path, text in stale:
        path.write_text(text)
    return [path for path, _ in stale]


def kpi_framework(catalogue: Catalogue) -> str:
    """Return the page of all KPIs. It has no values, because these change every day."""

    def link(unique_id: str) -> str:
        kind, name = unique_id.split(".", 1)
        if kind == "overview":
            return f"#{name}"
        return f"../dbt_fireside/models/gold/kpi/{name.split('.')[1]}.yml"

    framework = Framework(catalogue, link)
    domains = map(framework.domain, framework.domains())
    return "\n\n".join((HEAD + "\n" + INTRODUCTION, framework.contents(), *domains)) + "\n"


def schema(catalogue: Catalogue) -> str:
    """Return a list of the tables of tracksolid and dwh_gold with their grain."""
    tables = sorted(catalogue.tables.values(), key=lambda table: (table.schema, table.name))
    return "\n\n".join(
        f"### {name}\n\n"
        + table(("Table", "Grain"), ((f"`{t.name}`", t.grain) for t in tables if t.schema == name))
        for name in ("tracksolid", "dwh_gold")
    )


def fix_history(catalogue: Catalogue) -> str:
    """Return a table of the fixes with the names of the tests that guard each."""
    return table(
        ("Fix", "What went wrong", "What holds now", "Tests"),
        (
            (
                fix.fix_id,
                fix.was,
                fix.now,
                f"`{fix.tested_in}`"
                if fix.tested_in
                else f"{len(fix.guards)}: `{guard_prefix(fix.fix_id)}*`",
            )
            for fix in fixes(catalogue)
        ),
    )


def replaced(text: str, parts: dict[str, str]) -> str:
    """Return the text with each part of `parts` between the markers of its name.

    Raises ValueError if a part has no markers.
    """
    for name, part in parts.items():
        start, end = f"<!-- {name}: written by make docs -->", f"<!-- end of {name} -->"
        if not (start in text and end in text):
            raise ValueError(f"CLAUDE.md lacks the markers {start} and {end}: put them back")
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{part}\n{end}{rest.partition(end)[2]}"
    return text


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
