"""Writes the pages of the client's documentation as markdown, from the KPI framework."""

from analyst.docs.framework import Framework, band, slug, table
from analyst.docs.registers import RegisteredFix, fixes, seed
from analyst.kpi.rules import Rule, reason, spaced

INTRODUCTION = """\
Every number about the fleet is defined once, here. A KPI starts as **proposed**; it becomes
**active** when the client has confirmed that it matters, **baseline set** when there is enough
history for a target, and **retired** when nobody needs it any more. **Assumed** means that the KPI
uses a figure, such as the length of a shift, that is not agreed yet. A dash means that the value
is not known; it never means zero."""
VALUES = """\
Values are those of {day}, East Africa Time; live KPIs show the moment at which this page was
written. A target or a band is valid once the client has agreed to it. Suggested ones are computed
from the fleet's own last 30 days: the better quarter of its days, the worse quarter, and the worst
tenth."""


def pages(framework: Framework) -> dict[str, str]:
    """Return each page's markdown by its name; the first page is the one that opens."""
    day = framework.last.day
    values = f"\n\n{VALUES.format(day=f'{day:%-d %B %Y}')}" if day else ""
    domains = framework.domains()
    return {
        "overview": "\n\n".join(
            (
                "# Fleet KPIs",
                INTRODUCTION + values,
                framework.contents(),
                _other_pages(framework),
                *map(framework.domain, domains),
            )
        ),
        **{slug(name): _page(framework, framework.domain(name)) for name in domains},
        "decisions": _page(framework, f"# Open decisions\n\n{decisions(framework)}"),
        "fixes": _page(framework, f"# Fix history\n\n{fix_history(framework)}"),
        "feedback": _page(framework, f"# Feedback\n\n{feedback(framework)}"),
    }


def decisions(framework: Framework) -> str:
    """Return the page of open decisions: rules without a value, then assumed rules, then zones."""
    open_rules = [rule for rule in framework.rules if not rule.is_agreed]
    unknown = [rule for rule in open_rules if rule.value is None]
    assumed = [rule for rule in open_rules if rule.value is not None]
    places = [
        (row["name"], row["kind"], row["city"], reason(row["source"]) or "assumed")
        for row in seed("zones")
        if row["agreed"] != "true"
    ]
    kpis = framework.kpis
    lacks = (
        ("the client's confirmation", sum(k.meta["kpi_status"] == "proposed" for k in kpis)),
        ("a target or a band", sum(band(k) is None for k in kpis)),
        ("a reviewer", sum(k.meta["reviewer"] is None for k in kpis)),
    )
    return "\n\n".join(
        (
            f"## Not known yet ({len(unknown)})",
            "KPIs that need one of these rules stay empty until it has a value.",
            _rules(framework, unknown),
            f"## Assumed ({len(assumed)})",
            "In use now; every number that uses one of them is marked as assumed.",
            _rules(framework, assumed),
            f"## Places not agreed ({len(places)})",
            table(("Place", "Kind", "City", "Where it comes from"), places),
            "## What KPIs still lack",
            table(("Lacking", f"KPIs, of {len(kpis)}:"), lacks),
        )
    )


def fix_history(framework: Framework) -> str:
    """Return a table of the fixes: what went wrong, what holds now, the tests that guard it."""

    def guards(fix: RegisteredFix) -> str:
        if fix.tested_in:
            return f"`{fix.tested_in}`"
        names = ((test, framework.catalogue.tests[test].split("__", 1)[1]) for test in fix.guards)
        return "; ".join(f"[{spaced(name)}]({framework.link(test)})" for test, name in names)

    return table(
        ("Fix", "What went wrong", "What holds now", "Tests that guard it"),
        ((fix.fix_id, fix.was, fix.now, guards(fix)) for fix in fixes(framework.catalogue)),
    )


def feedback(framework: Framework) -> str:
    """Return a table of the client's remarks in the seed kpi_feedback, newest first."""
    rows = sorted(seed("kpi_feedback"), key=lambda row: row["date"], reverse=True)
    if not rows:
        return "No feedback has been written down yet."
    return table(
        ("Date", "KPI", "From", "Feedback", "Decision", "Status"),
        (
            (
                row["date"],
                framework.linked(framework.catalogue.kpi(row["kpi_id"])),
                row["from_role"],
                row["feedback"],
                row["decision"],
                row["status"],
            )
            for row in rows
        ),
    )


def _page(framework: Framework, text: str) -> str:
    return f"[All KPIs]({framework.link('overview.overview')})\n\n{text}"


def _other_pages(framework: Framework) -> str:
    return "\n".join(
        f"- [{title}]({framework.link(f'overview.{name}')}): {what}"
        for title, name, what in (
            ("Open decisions", "decisions", "what the client still has to agree on"),
            ("Feedback", "feedback", "what the client said about a KPI and what was decided"),
            ("Fix history", "fixes", "faults that were mended, and the tests that guard each"),
        )
    )


def _rules(framework: Framework, rules: list[Rule]) -> str:
    def row(rule: Rule) -> tuple[str, ...]:
        used_by = [framework.linked(kpi) for kpi in framework.kpis if rule.name in kpi.rules]
        value = "" if rule.value is None else rule.shown_value
        place = rule.city or "all"
        kpis = ", ".join(used_by) or "none"
        return (spaced(rule.name), place, value, rule.unit, rule.reason or "assumed", kpis)

    header = ("Rule", "City", "Value:", "Unit", "Where it comes from", "KPIs that use it")
    return table(header, map(row, rules))
