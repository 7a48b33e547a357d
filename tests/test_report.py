"""The monthly report: its figures match the facts, and it has all that a client needs."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fleets
import psycopg
import pytest
from databases import Databases
from typer.testing import CliRunner

import orchestrate
from analyst.report.monthly import render
from analyst.report.queries import NoData, UnknownCity
from settings import settings
from warehouse.database import Database

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)


class ReportParser(HTMLParser):
    """Collects the report's KPIs, text by section, and links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.kpis: dict[str, str] = {}
        self.sections: dict[str, str] = {}
        self.links: list[str] = []
        self.svgs = 0
        self._kpi = self._section = ""
        self._styled = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]
        self.svgs += tag == "svg"
        self._kpi = given.get("data-kpi") or ""
        self._styled = tag == "style"
        if tag == "section":
            self._section = given.get("id") or "summary"

    def handle_data(self, data: str) -> None:
        if self._kpi:
            self.kpis[self._kpi] = data
            self._kpi = ""
        if not self._styled:
            text = self.sections.get(self._section, "") + " " + data
            self.sections[self._section] = re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def database(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Three days of October and four of November."""
    return fleets.polled(databases, tmp_path_factory.mktemp("work")).database


@pytest.fixture
def gold(database: Database) -> Iterator[psycopg.Connection]:
    """A connection whose changes are rolled back."""
    with database.connect(autocommit=False) as connection:
        yield connection
        connection.rollback()


def one(connection: psycopg.Connection, statement: str, *values: object) -> Any:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row[0]


# A month ends with the last day that is over.
MONTH = (
    "date_trunc('month', day) = %s and day in (select day from dwh_gold.dim_dates where is_over)"
)
FACTS = (
    f"from dwh_gold.fact_daily_fleet_metrics where is_primary_device and is_in_service and {MONTH}"
)


@pytest.mark.parametrize("city", [None, "Nairobi"])
@pytest.mark.parametrize("month", [OCTOBER, NOVEMBER])
def test_report_figures_match_the_facts(
    gold: psycopg.Connection, month: date, city: str | None
) -> None:
    kpis = ReportParser(render(gold, month, city)).kpis
    where = FACTS + (f" and city = '{city}'" if city else "")
    distance_km = one(gold, f"select sum(distance_km) {where}", month)
    assert distance_km > 100
    assert kpis["fleet.distance"] == f"{distance_km:,.1f}"
    driving_h = one(gold, f"select sum(driving_time_s) / 3600.0 {where}", month)
    assert abs(Decimal(kpis["fleet.driving_time"].replace(",", "")) - driving_h) < Decimal("0.06")
    stops = one(
        gold,
        "select count(*) from dwh_gold.fact_stops inner join dwh_gold.fact_daily_fleet_metrics"
        " as metrics using (imei, day) where is_service_stop and metrics.is_primary_device"
        f" and is_in_service and {MONTH}" + (f" and metrics.city = '{city}'" if city else ""),
        month,
    )
    assert kpis["technician.service_stops"] == f"{stops:,}"
    vehicles = one(gold, f"select count(*) / count(distinct day)::numeric {where}", month)
    assert kpis["fleet.vehicles"] == f"{vehicles:,.0f}"  # the mean of the days, not their sum


def test_city_report_has_only_its_own_figures_and_vehicles(gold: psycopg.Connection) -> None:
    fleet_page, city_page = (
        ReportParser(render(gold, NOVEMBER)),
        ReportParser(render(gold, NOVEMBER, "mombasa")),
    )
    assert fleet_page.kpis["fleet.distance"] != city_page.kpis["fleet.distance"]
    assert "The fleet of Mombasa drove" in city_page.sections["summary"]
    assert "Nairobi" in fleet_page.sections["vehicles"]
    assert "Nairobi" not in city_page.sections["vehicles"]
    with pytest.raises(UnknownCity, match="Nairobi"):
        render(gold, NOVEMBER, "Atlantis")


def test_changes_compare_with_the_mean_day_of_last_month(gold: psycopg.Connection) -> None:
    means = [
        one(gold, f"select sum(distance_km) / count(distinct day) {FACTS}", month)
        for month in (OCTOBER, NOVEMBER)
    ]
    change = 100 * (means[1] / means[0] - 1)
    shown = f"{change:+,.1f} %".replace("-", "\N{MINUS SIGN}")
    text = ReportParser(render(gold, NOVEMBER)).sections["summary"]
    assert f"({shown} a day against October 2026)" in text
    assert "Most improved against October 2026:" in text
    assert "Most worsened against October 2026:" in text
    assert (
        "Nothing of September 2026 is in the data"
        in ReportParser(render(gold, OCTOBER)).sections["summary"]
    )


def test_report_is_self_contained(gold: psycopg.Connection) -> None:
    html = render(gold, NOVEMBER)
    page = ReportParser(html)
    assert page.svgs >= 10
    assert page.links
    assert [link for link in page.links if not link.startswith("#")] == []
    assert not re.search(r"https?:|//|@import|url\(|<script", html)


def test_gated_kpis_are_listed_with_their_reason(gold: psycopg.Connection) -> None:
    page = ReportParser(render(gold, NOVEMBER))
    gated = gold.execute(
        "select kpi_id, label, gate_reason from dwh_gold.kpi_monthly"
        " inner join dwh_gold.kpi_register using (kpi_id)"
        " where scope = 'fleet' and month = %s and value is null",
        [NOVEMBER],
    ).fetchall()
    assert "fuel.cost" in {kpi_id for kpi_id, *_ in gated}
    for kpi_id, label, reason in gated:
        assert kpi_id not in page.kpis
        assert label in page.sections["gated"]
        assert reason in page.sections["gated"]


def test_assumed_rules_are_listed_with_their_value(gold: psycopg.Connection) -> None:
    gold.execute("update tracksolid.operating_rules set agreed = true where rule = 'shift_start'")
    listed = ReportParser(render(gold, NOVEMBER)).sections["assumed"]
    assert "shift length All cities 9 h assumed: 08:00 to 17:00" in listed
    assert "fuel price Nairobi not known KES/l" in listed
    assert "shift start" not in listed
    other = ReportParser(render(gold, NOVEMBER, "Mombasa")).sections["assumed"]
    assert "fuel price Mombasa" in other
    assert "fuel price Nairobi" not in other


def test_agreed_bands_and_proposals_are_shown_separately(gold: psycopg.Connection) -> None:
    before = ReportParser(render(gold, NOVEMBER))
    assert "No band or target is agreed yet" in before.sections["summary"]
    assert "Proposals for discussion, not agreed" in before.sections["proposals"]
    median = one(
        gold,
        "select median from dwh_gold.kpi_band_proposals"
        " where kpi_id = 'fleet.utilisation' and scope = 'fleet'",
    )
    assert f"Utilisation rate % {median:,.1f}" in before.sections["proposals"]
    gold.execute(
        "update dwh_gold.kpi_register set warn_at = 40, critical_at = 20"
        " where kpi_id = 'fleet.utilisation'"
    )
    gold.execute(
        "update dwh_gold.kpi_values set band = 'critical'"
        " where kpi_id = 'fleet.utilisation' and scope = 'fleet' and day = '2026-11-02'"
    )
    after = ReportParser(render(gold, NOVEMBER))
    assert "1 day critical" in after.sections["domain-1"]
    assert "No band or target is agreed yet" not in after.sections["summary"]


def test_silent_vehicles_are_listed(gold: psycopg.Connection) -> None:
    silent = gold.execute(
        f"select vehicle_id {FACTS} group by vehicle_id having not bool_or(has_reported)".encode(),
        [NOVEMBER],
    ).fetchall()
    assert silent
    html = unescape(render(gold, NOVEMBER))
    listed = html[html.index("Vehicles that were silent") : html.index('id="vehicles"')]
    assert all(vehicle_id in listed for (vehicle_id,) in silent)


def test_names_are_escaped(gold: psycopg.Connection) -> None:
    """People enter names of vehicles, cities and alarms, so the report must escape them."""
    name = "<b>KDA & Sons</b>"
    driven = one(gold, f"select vehicle_id {FACTS} order by distance_km desc nulls last", NOVEMBER)
    for table, column in (
        ("fact_daily_fleet_metrics", "vehicle_id"),
        ("kpi_fleet_utilisation_daily", "scope_value"),
        ("kpi_technician_productivity_daily", "scope_value"),
        ("kpi_driver_behaviour_daily", "scope_value"),
        ("kpi_vehicle_health_daily", "scope_value"),
    ):
        gold.execute(
            f"update dwh_gold.{table} set {column} = %s where {column} = %s".encode(),
            [name, driven],
        )
    gold.execute("update dwh_gold.fact_alarms set alarm_name = %s", [name])
    gold.execute(
        "update dwh_gold.kpi_values set scope_value = %s where scope_value = 'Mombasa'", [name]
    )
    html = render(gold, NOVEMBER)
    assert name in ReportParser(html).sections["vehicles"]
    assert name in ReportParser(html).sections["domain-1"]
    assert "<b>KDA" not in html


def test_month_without_data_names_the_available_months(gold: psycopg.Connection) -> None:
    with pytest.raises(NoData, match=r"March 2026 .* holds October 2026 to November 2026"):
        render(gold, date(2026, 3, 1))
    gold.execute("delete from dwh_gold.kpi_values")
    with pytest.raises(NoData, match="load and build it first"):
        render(gold, NOVEMBER)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--month", "2026-10"], 0),
        (["--month", "2026-11", "--city", "nairobi"], 0),
        (["--month", "2026-03"], 1),
        (["--month", "2026-13"], 2),
        (["--month", "October"], 2),
        (["--month", "2026-10", "--city", "Atlantis"], 2),
        ([], 2),
    ],
)
def test_report_command_exit_codes(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.url)
    settings.cache_clear()
    page = tmp_path / "new" / "report.html"
    done = CliRunner().invoke(orchestrate.app, ["report", *arguments, "--to", str(page)])
    settings.cache_clear()
    assert done.exit_code == code, done.output
    assert page.exists() == (code == 0)
