"""Tables in a pipe and on terminals of several widths: nothing is cut, nothing is too wide."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from loader.fetcher import Summary
from operations.cli import demo_figures, progress, tables, takeover
from operations.imports.legacy import ImportedTable

COLUMNS = ("imei", "device_name", "distance_km", "note")
ROWS = [
    ("860000000000017", "KDA 001A", "1,234.5", "check SIM and activation"),
    ("860000000000025", "Belta KCU-647D", "–", ""),
]


@pytest.fixture
def screen(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int, Callable[[], None]], list[str]]:
    """Runs a function that prints, on a terminal of a width; returns the printed lines."""

    def run(width: int, show: Callable[[], None]) -> list[str]:
        written = StringIO()
        console = Console(file=written, width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(tables, "console", console)
        show()
        return [line.rstrip() for line in written.getvalue().splitlines()]

    return run


@pytest.fixture
def on_terminal(
    screen: Callable[[int, Callable[[], None]], list[str]],
) -> Callable[[int], list[str]]:
    """Prints a table on a terminal of a width; returns its lines."""
    return lambda width: screen(
        width, lambda: tables.print_table(COLUMNS, ROWS, "Devices", right=["distance_km"])
    )


def test_a_pipe_has_aligned_columns_and_whole_names(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(COLUMNS, ROWS, "Devices", right=["distance_km"], total=("2", "", "1", ""))
    assert capsys.readouterr().out.splitlines() == [
        "Devices",
        "imei             device_name     distance_km  note",
        "860000000000017  KDA 001A            1,234.5  check SIM and activation",
        "860000000000025  Belta KCU-647D            –",
        "2                                          1",
        "",
    ]


@pytest.mark.parametrize("width", [120, 80, 60, 50])
def test_a_terminal_wraps_between_words_and_cuts_none(on_terminal, width: int) -> None:
    lines = on_terminal(width)
    assert max(map(len, lines)) <= width
    words = set(" ".join(lines).split())
    assert {word for row in ROWS for text in row for word in text.split()} <= words


def test_a_terminal_too_narrow_for_a_table_gets_a_block_per_row(on_terminal) -> None:
    lines = on_terminal(32)
    assert max(map(len, lines)) <= 32
    assert "imei         860000000000017" in lines
    assert "imei         860000000000025" in lines


def test_optional_columns_are_left_out_of_all_groups_before_anything_wraps(screen) -> None:
    groups = {"Devices": ROWS[:1], "More devices": ROWS[1:]}
    lines = screen(
        50, lambda: tables.print_groups(COLUMNS, groups, right=["distance_km"], optional=["note"])
    )
    assert "860000000000017  KDA 001A            1,234.5" in lines
    assert "860000000000025  Belta KCU-647D            –" in lines
    assert lines.count("Not shown for lack of width: note") == 1
    assert "check SIM" not in " ".join(lines)


def test_a_group_that_fits_by_itself_has_a_line_per_row(screen) -> None:
    """The widths that all groups share would not fit, and would wrap some of the texts."""
    groups = {
        "Long names": [("technician.service_stops_per_vehicle", "Service stops per vehicle")],
        "Long labels": [("dispatch.overnight", "Overnight at an unexpected place in the city")],
    }
    lines = screen(66, lambda: tables.print_groups(("kpi", "label"), groups))
    assert "technician.service_stops_per_vehicle  Service stops per vehicle" in lines
    assert "dispatch.overnight  Overnight at an unexpected place in the city" in lines


def cell_words(rows: Sequence[Sequence[object]]) -> set[str]:
    return {word for row in rows for cell in row for word in str(cell).split()}


CITIES = [
    ("Nairobi", 52, 51, Decimal("14806.5"), Decimal("141.0"), Decimal("23.6"), 1273, 53, 1, 0),
    ("Unassigned", 4, 0, None, None, None, None, 0, 0, 4),
]
DAYS = [
    ("2026-11-25", "860000100000008", "KDG 878X Wanjiru", "1,165.2", "160.2", "15", "15", "0", "0",
     "≠"),
    ("2026-11-25", "860000100000007", "GT06E-00002", "91.3", "84.3", "7", "7", "0", "0", ""),
]  # fmt: skip
IMPORTED = [
    ("legacy_position_history", 1_234_567, 1_234_567, 0, 12, None, None, None),
    ("legacy_trips", 1380, 690, 1, 0, 0, 230, 1),
]


@pytest.mark.parametrize(
    ("show", "words"),
    [
        (
            lambda: demo_figures.print_rows({"tracksolid.temperature_readings": 474_965}, {}),
            {"tracksolid.temperature_readings", "474,965"},
        ),
        (
            lambda: demo_figures.print_fleet(date(2026, 11, 25), CITIES),
            {"Nairobi", "14,806.5", "1,273", "Unassigned"},
        ),
        (
            lambda: progress.print_summaries(
                [Summary("parking_report:on", 1234, 1234, 1_234_567, ["x"], {"1"}, 12345.6)]
            ),
            {"parking_report:on", "1,234,567", "12,345.6"},
        ),
        (
            lambda: takeover.print_imported([ImportedTable("position_history", 99, 99)], ["x"]),
            {"position_history", "99"},
        ),
        (
            lambda: takeover.print_import_report(IMPORTED),
            {"legacy_position_history", "1,234,567", "230"},
        ),
        (lambda: takeover.print_comparison(DAYS), cell_words(DAYS)),
    ],
    ids=["demo rows", "demo fleet", "poll", "import", "import report", "comparison"],
)
def test_tables_of_commands_fit_80_columns(
    screen: Callable[[int, Callable[[], None]], list[str]],
    show: Callable[[], None],
    words: set[str],
) -> None:
    lines = screen(80, show)
    assert max(map(len, lines)) <= 80
    assert words <= set(" ".join(lines).split())
    # A table, not a block of lines per row.
    assert len([line for line in lines if line.startswith(("imei ", "records "))]) == 0


def test_the_demos_next_steps_fit_80_columns() -> None:
    lines = demo_figures.NEXT_STEPS.format(db="fireside_traces").splitlines()
    assert max(map(len, lines)) <= 80
