"""Writes tables of KPIs as markdown, from the catalogue, the registers and the newest values."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from analyst.docs.registers import rules
from analyst.kpi.catalogue import Catalogue, Kpi, domain_rank
from analyst.kpi.rules import Rule

SUGGESTED = "Suggested target / warning / critical"
SIGNS = {" * ": " × ", " - ": " – ", ">=": "≥", "<=": "≤", "_": " "}


@dataclass(frozen=True)
class LastValues:
    """The newest values in gold by KPI and place, and the bands that the last 30 days suggest."""

    day: date | None = None  # the day of the values; those of live KPIs are of now
    places: tuple[str, ...] = ()  # Fleet first, then cities
    values: dict[tuple[str, str], Decimal | None] = field(default_factory=dict)
    proposals: dict[str, tuple[Decimal, Decimal, Decimal]] = field(default_factory=dict)


class Framework:
    """Writes the tables. `link` turns a unique id of dbt into the address of its page."""

    def __init__(
        self, catalogue: Catalogue, link: Callable[[str], str], last: LastValues | None = None
    ) -> None:
        self.catalogue = catalogue
        self.link = link
        self.last = last or LastValues()
        self.rules = rules()
        self.kpis = sorted(catalogue.kpis.values(), key=_place)

    def domains(self) -> dict[str, list[Kpi]]:
        """Return the KPIs by domain, both in the order of the page."""
        found: dict[str, list[Kpi]] = {}
        for kpi in self.kpis:
            found.setdefault(kpi.meta["domain"], []).append(kpi)
        return found

    def domain(self, name: str) -> str:
        """Return a domain's heading, its table of newest values and its table of definitions."""
        kpis = self.domains()[name]
        parts = [f"## {name}"]
        if self.last.places:
            places = (f"{place}:" for place in self.last.places)
            parts.append(table(("KPI", "Unit", *places, SUGGESTED), map(self._now, kpis)))
        header = ("KPI", "Unit", "How it is worked out", "Rules", "Why it can be empty")
        more = ("How often", "Band", "Status", "Owner")
        parts.append(table((*header, *more), map(self._definition, kpis)))
        return "\n\n".join(parts)

    def contents(self) -> str:
        """Return a table of the domains: number of KPIs, of confirmed ones and so on."""
        rows = (
            (
                f"[{domain}]({self.link(f'overview.{slug(domain)}')})",
                len(kpis),
                sum(kpi.meta["kpi_status"] != "proposed" for kpi in kpis),
                sum(self.is_assumed(kpi) for kpi in kpis),
                sum(band(kpi) is not None for kpi in kpis),
            )
            for domain, kpis in self.domains().items()
        )
        return table(("Domain", "KPIs:", "Confirmed:", "With assumed rules:", "With a band:"), rows)

    def is_assumed(self, kpi: Kpi) -> bool:
        """Return True if the KPI uses a rule that is not agreed."""
        return any(not rule.is_agreed for rule in self.rules_of(kpi))

    def rules_of(self, kpi: Kpi) -> list[Rule]:
        """Return the operating rules in the KPI's formula; one per city if cities differ."""
        return [rule for rule in self.rules if rule.name in kpi.rules]

    def _now(self, kpi: Kpi) -> Iterator[str]:
        yield f"**{self.linked(kpi)}**"
        yield kpi.meta["unit"]
        for place in self.last.places:
            yield kpi.shown(self.last.values.get((kpi.kpi_id, place)), unit=False)
        bounds = self.last.proposals.get(kpi.kpi_id, (None,))
        yield " / ".join(kpi.shown(bound, unit=False) for bound in bounds)

    def _definition(self, kpi: Kpi) -> tuple[str, ...]:
        status = str(kpi.meta["kpi_status"]).replace("_", " ")
        return (
            f"**{self.linked(kpi)}**",
            kpi.meta["unit"],
            formula(kpi),
            "; ".join(rule.words for rule in self.rules_of(kpi)),
            kpi.meta["gate"] or "",
            kpi.meta["cadence"],
            band(kpi) or "no band agreed",
            f"{status}, assumed" if self.is_assumed(kpi) else status,
            kpi.meta["kpi_owner"],
        )

    def linked(self, kpi: Kpi) -> str:
        """Return the KPI's label as a link to its mart."""
        return f"[{kpi.meta['label']}]({self.link(kpi.mart.unique_id)})"


def formula(kpi: Kpi) -> str:
    """Return the KPI's formula as a sentence: × for *, spaces for underscores."""
    text = " ".join(str(kpi.meta["formula"]).split())
    for sign, shown in SIGNS.items():
        text = text.replace(sign, shown)
    return text[0].upper() + text[1:] + "."


def slug(domain: str) -> str:
    """Return the name of a domain's page: "Cost and fuel" as "cost-and-fuel"."""
    return domain.lower().replace(" ", "-")


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a markdown table; a title that ends in a colon makes its column right-aligned."""
    titles = list(header)
    rules = ["---:" if title.endswith(":") else "---" for title in titles]
    lines = [[title.rstrip(":") for title in titles], rules, *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    """Return a cell as one line; a bar becomes an entity, as dbt's markdown needs it."""
    return " ".join(str(value).split()).replace("|", "&#124;").replace("<", "&lt;")


def _place(kpi: Kpi) -> tuple[int, str, str, int]:
    return (*domain_rank(kpi.meta["domain"]), kpi.mart.name, kpi.mart.columns.index(kpi.column))


def band(kpi: Kpi) -> str | None:
    """Return the agreed target, warning and critical value as text; None if there are none."""
    bounds = {
        "target": kpi.meta["target"],
        "warning": kpi.meta["warn_at"],
        "critical": kpi.meta["critical_at"],
    }
    agreed = {name: at for name, at in bounds.items() if at is not None}
    return ", ".join(f"{name} {kpi.shown(at, unit=False)}" for name, at in agreed.items()) or None
