"""Writes the management report of a month as one HTML file, from dwh_gold."""

import calendar
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import psycopg
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from analyst import values
from analyst.kpi.catalogue import domain_rank
from analyst.report import figures, summary, svg_charts
from analyst.report.figures import Figure
from analyst.report.queries import Gold, GoldRow
from settings import ROOT

TILES = (
    "fleet.distance",
    "fleet.active_vehicles",
    "fleet.utilisation",
    "technician.service_stops",
    "driver.score",
    "quality.reporting",
)
RANKED = 5  # vehicles at either end of a ranking


class Charted(NamedTuple):
    """A KPI that is drawn per day: as bars if cities add up (`stacked`), else as lines."""

    kpi_id: str
    stacked: bool
    from_zero: bool = True


CHARTS = (
    Charted("fleet.distance", stacked=True),
    Charted("fleet.utilisation", stacked=False),
    Charted("fleet.idle_share", stacked=False),
    Charted("fleet.active_vehicles", stacked=True),
    Charted("technician.service_stops", stacked=True),
    Charted("technician.late_departures_share", stacked=False),
    Charted("field_service.jobs_closed", stacked=True),
    Charted("field_service.mtta", stacked=False),
    Charted("driver.score", stacked=False, from_zero=False),
    Charted("driver.speeding_time", stacked=True),
    Charted("dispatch.unexpected_overnight", stacked=True),
    Charted("fuel.volume", stacked=True),
    Charted("fuel.idle_volume", stacked=True),
    Charted("health.alarms", stacked=True),
    Charted("zone.depot_departures", stacked=True),
    Charted("zone.dwell", stacked=True),
    Charted("quality.reporting", stacked=False),
    Charted("quality.trail_to_trips", stacked=False, from_zero=False),
)


class Ranking(NamedTuple):
    """A list of the vehicles with the highest or lowest values of a column of vehicle_months."""

    title: str
    column: str
    unit: str
    decimals: int
    most_first: bool


RANKINGS = (
    Ranking("Most driven", "distance_km", "km", 1, True),
    Ranking("Least driven", "distance_km", "km", 1, False),
    Ranking("Best used", "utilisation_pct", "% of shift", 1, True),
    Ranking("Least used", "utilisation_pct", "% of shift", 1, False),
    Ranking("Most idling", "idle_h", "h", 1, True),
    Ranking("Most service stops", "service_stops_count", "stops", 0, True),
    Ranking("Highest driving score", "score", "points", 1, True),
    Ranking("Lowest driving score", "score", "points", 1, False),
    Ranking("Longest speeding", "speeding_min", "min", 1, True),
    Ranking("Most alarms", "alarms_count", "alarms", 0, True),
)


def usual_place(month: date, city: str | None = None) -> Path:
    """Return the default file of a month's report."""
    place = f"-{city.casefold().replace(' ', '-')}" if city else ""
    return ROOT / "public" / f"report-{month:%Y-%m}{place}.html"


def write(connection: psycopg.Connection, month: date, city: str | None, to: Path) -> None:
    """Write the report to a file. Raises NoData and UnknownCity, as `render` does."""
    page = render(connection, month, city)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(page, encoding="utf-8")


def render(connection: psycopg.Connection, month: date, city: str | None = None) -> str:
    """Return the report of `month` (its first day) as HTML.

    Raises NoData if gold has no finished day of the month, UnknownCity if it has no such city.
    """
    gold = Gold(connection, month, city)
    known = gold.figures()
    measured = [figure for figure in known if figure.value is not None]
    days_in_month = calendar.monthrange(month.year, month.month)[1]
    vehicles = gold.vehicles()
    return _template().render(
        month=month,
        city=gold.city,
        days_in_month=days_in_month,
        days_in_data=max(figure.days_count for figure in known),
        as_of=gold.data_as_of(),
        tiles=[figure for kpi_id in TILES for figure in known if figure.kpi_id == kpi_id],
        summary=summary.sentences(known, month, gold.city),
        domains=_domains(measured, _drawn(gold, measured, days_in_month)),
        rankings=[(ranking, _ranked(ranking, vehicles)) for ranking in RANKINGS],
        silent_vehicles=[v for v in vehicles if v["reported_days_count"] < v["days_count"]],
        gated=[figure for figure in known if figure.value is None],
        assumed=gold.assumed(),
        assumed_zones=gold.assumed_zones(),
        proposals=gold.proposals(),
        defined=known,
    )


def _drawn(
    gold: Gold, measured: Sequence[Figure], days: int
) -> dict[str, list[tuple[str, Markup]]]:
    """Return (title, chart) of each chart by domain; `days` is the length of the month."""
    known = {figure.kpi_id: figure for figure in measured}
    points: dict[str, list[svg_charts.DayValue]] = {}
    for row in gold.per_day([chart.kpi_id for chart in CHARTS]):
        value = None if row["value"] is None else float(row["value"])
        point = svg_charts.DayValue(row["scope_value"], row["day"].day, value)
        points.setdefault(row["kpi_id"], []).append(point)
    drawn: dict[str, list[tuple[str, Markup]]] = {}
    for chart in CHARTS:
        if (figure := known.get(chart.kpi_id)) and chart.kpi_id in points:
            svg = svg_charts.per_day(
                points[chart.kpi_id],
                days,
                figure.shown_unit,
                stacked=chart.stacked,
                from_zero=chart.from_zero,
            )
            drawn.setdefault(figure.domain, []).append((f"{figure.label} per day", svg))
    if alarms := gold.alarms():
        counts = [(row["alarm_name"], row["alarms_count"]) for row in alarms]
        svg = svg_charts.ranking(counts, "alarms of the month")
        drawn.setdefault("Vehicle health", []).append(("Alarms by type", svg))
    return drawn


def _domains(
    measured: Sequence[Figure], drawn: dict[str, list[tuple[str, Markup]]]
) -> list[tuple[str, list[Figure], list[tuple[str, Markup]]]]:
    """Return (domain, figures, charts) of each domain with a value, in the order of DOMAINS."""
    order = sorted({figure.domain for figure in measured}, key=domain_rank)
    return [
        (name, [figure for figure in measured if figure.domain == name], drawn.get(name, []))
        for name in order
    ]


def _ranked(ranking: Ranking, vehicles: Sequence[GoldRow]) -> list[GoldRow]:
    """Return the first RANKED vehicles with a value; a list of the highest leaves out zeros."""
    known = [row for row in vehicles if row[ranking.column] is not None]
    if ranking.most_first:
        known = [row for row in known if row[ranking.column] > 0]
    known.sort(key=lambda row: row["vehicle_id"])
    return sorted(known, key=lambda row: row[ranking.column], reverse=ranking.most_first)[:RANKED]


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("analyst.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": values.number, "shown": values.shown}
    environment.filters |= {"month_name": figures.month_name, "count": figures.count}
    return environment.get_template("report.html.j2")
