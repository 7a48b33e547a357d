"""Values as people read them: one text on every page and screen."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from analyst.kpi.catalogue import DOMAINS, Catalogue
from analyst.report.figures import Figure
from analyst.values import DASH, cell, clock, number, shown

NAIROBI = ZoneInfo("Africa/Nairobi")


@pytest.fixture(scope="module")
def catalogue(manifest_file: Path) -> Catalogue:
    return Catalogue(manifest_file)


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (Decimal("8.25"), "hour of day", 2, "08:15"),
        (Decimal("23.999"), "hour of day", 1, "24:00"),
        (Decimal("1234.56"), "km", 1, "1,234.6 km"),
        (Decimal("9.000"), "h", None, "9 h"),
        (Decimal("1500.50"), "km", None, "1,500.5 km"),
        (Decimal("-3.2"), "points", 1, "\N{MINUS SIGN}3.2 points"),
        (Decimal("-0.04"), "%", 1, "0.0 %"),
        (0, "vehicles", 0, "0 vehicles"),
        (None, "km", 1, DASH),
        (None, "hour of day", 1, DASH),
    ],
)
def test_a_value_has_its_unit_separators_and_sign(
    value: Decimal | None, unit: str, decimals: int | None, text: str
) -> None:
    assert shown(value, unit, decimals) == text


def test_a_time_of_day_keeps_the_sign_of_a_difference() -> None:
    assert clock(Decimal("-0.25")) == "\N{MINUS SIGN}00:15"
    assert clock(Decimal("-0.001")) == "00:00"
    assert number(Decimal("2.5"), 1, signed=True) == "+2.5"


def test_command_line_and_report_show_every_kpi_the_same(catalogue: Catalogue) -> None:
    units = set()
    for kpi in catalogue.kpis.values():
        units.add(kpi.meta["unit"])
        for value in (None, Decimal("0"), Decimal("8.25"), Decimal("12345.678")):
            in_report = Figure({**kpi.meta, "value": value})
            assert kpi.shown(value, unit=False) == in_report.shown_value
            with_unit = kpi.shown(value)
            assert with_unit == (DASH if value is None else in_report.with_unit), kpi.kpi_id
            if kpi.meta["unit"] == "hour of day" and value == Decimal("8.25"):
                assert with_unit == "08:15"
    assert {"hour of day", "%", "km", "currency", "vehicles"} <= units


def test_every_domain_has_its_place_in_the_one_order(catalogue: Catalogue) -> None:
    assert catalogue.domains() == list(DOMAINS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, DASH),
        (True, "yes"),
        (1234, "1,234"),
        (Decimal("-1234.500"), "\N{MINUS SIGN}1,234.500"),
        (datetime(2026, 11, 16, 22, 30, tzinfo=UTC), "2026-11-17 01:30:00"),
        ("860000000000017", "860000000000017"),
    ],
)
def test_a_cell_of_any_type_is_readable(value: object, text: str) -> None:
    assert cell(value, NAIROBI) == text
