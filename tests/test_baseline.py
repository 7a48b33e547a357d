"""The baseline report: its counts against gold, and what it lists by name."""

import re
from datetime import datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from rich.console import Console
from rich.markdown import Markdown

from analyst.baseline import baseline
from analyst.baseline_file import write

NAIROBI = ZoneInfo("Africa/Nairobi")


@pytest.fixture(scope="module")
def text(gold: psycopg.Connection) -> str:
    return baseline(gold, datetime(2026, 11, 18, 12, 30, tzinfo=NAIROBI), {"Account": "fleet"})


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def cells(text: str) -> dict[str, list[str]]:
    """The rows of all tables by their first cell."""
    rows = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|"))
    return {row[0]: row[1:] for row in rows}


def test_devices_are_counted_by_city_and_freshness(gold: psycopg.Connection, text: str) -> None:
    assert text.startswith("# Fleet baseline, 2026-11-18 12:30 EAT\n")
    shown = cells(section(text, "Devices by city"))
    counts = gold.execute(
        "select coalesce(city, '**Fleet**'), count(*),"
        " count(*) filter (where freshness = 'never_reported')"
        " from dwh_gold.vehicle_status_now group by rollup (city)"
    ).fetchall()
    assert len(counts) > 2
    for city, registered, never in counts:
        assert shown[city][0] == str(registered)
        assert shown[city][-1] == str(never)
        assert sum(map(int, shown[city][1:])) == registered


def test_gaps_and_silent_devices_are_listed(gold: psycopg.Connection, text: str) -> None:
    missing = gold.execute(
        "select count(*) filter (where driver_name is null),"
        " count(*) filter (where vehicle_number is null) from dwh_gold.dim_vehicles"
    ).fetchall()[0]
    shown = cells(section(text, "Not filled in"))
    assert (shown["driver name"][0], shown["plate"][0]) == tuple(map(str, missing))
    never = gold.execute(
        "select imei from dwh_gold.vehicle_status_now where freshness = 'never_reported'"
    ).fetchall()
    assert never
    assert all(imei in section(text, "Silent and never reported") for (imei,) in never)


def test_a_device_abroad_is_an_anomaly(gold: psycopg.Connection) -> None:
    now = datetime(2026, 11, 18, 12, 30, tzinfo=NAIROBI)
    with gold.transaction(force_rollback=True):
        gold.execute("set local search_path to dwh_gold")
        (imei,) = gold.execute(
            "select imei from dwh_gold.devices_now where country = 'Kenya' limit 1"
        ).fetchall()[0]
        gold.execute(
            "update tracksolid.newest_fixes set latitude = 0.196, longitude = 32.540"
            " where imei = %s",
            [imei],
        )
        abroad = section(baseline(gold, now, {}), "Anomalies").split("Outside the assigned city")[0]
    (row,) = (line for line in abroad.splitlines() if imei in line)
    assert "| 0.196000 | 32.540000 | Uganda | Kenya |" in row


def test_every_city_lies_in_its_country(gold: psycopg.Connection) -> None:
    """Devices drive up to the edge of a city's zone, on the coast too."""
    countries = gold.execute(
        "select current_city, array_agg(distinct coalesce(country, 'elsewhere'))"
        " from dwh_gold.devices_now where current_city is not null group by 1 order by 1"
    ).fetchall()
    assert countries == [("Kampala", ["Uganda"]), ("Mombasa", ["Kenya"]), ("Nairobi", ["Kenya"])]


def test_the_report_is_whole_on_a_terminal_of_80_columns(text: str) -> None:
    written = StringIO()
    Console(file=written, width=80, force_terminal=True, color_system=None).print(Markdown(text))
    shown = written.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    imeis = re.findall(r"\| (\d{15}) \|", text)
    assert imeis
    assert set(imeis) <= set(shown.split())


def test_html_needs_nothing_but_itself(text: str, tmp_path: Path) -> None:
    page = tmp_path / "new" / "baseline.html"
    write(text, page)
    html = page.read_text()
    assert "<title>Fleet baseline, 2026-11-18 12:30 EAT</title>" in html
    assert html.count("<table>") >= 5
    assert not re.search(r"https?:|<script|<link|url\(", html)
    plain = (tmp_path / "baseline").with_suffix(".md")
    write(text, plain)
    assert plain.read_text() == text
