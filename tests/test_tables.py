"""Tables in a pipe and on terminals of several widths: nothing is cut, nothing is too wide."""

from io import StringIO

import pytest
from rich.console import Console

from operations.cli import tables

COLUMNS = ("imei", "device_name", "distance_km", "note")
ROWS = [
    ("860000000000017", "KDA 001A", "1,234.5", "check SIM and activation"),
    ("860000000000025", "Belta KCU-647D", "–", ""),
]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch):
    """Prints a table on a terminal of a width; returns its lines."""

    def run(width: int, **options: object) -> list[str]:
        written = StringIO()
        console = Console(file=written, width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(tables, "console", console)
        tables.print_table(COLUMNS, ROWS, "Devices", right=["distance_km"], **options)
        return [line.rstrip() for line in written.getvalue().splitlines()]

    return run


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


def test_optional_columns_are_left_out_before_anything_wraps(on_terminal) -> None:
    lines = on_terminal(50, optional=["note"])
    assert "860000000000025  Belta KCU-647D            –" in lines
    assert "Not shown for lack of width: note" in lines
    assert "check SIM" not in " ".join(lines)
