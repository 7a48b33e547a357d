"""Pictures of the dashboards: their answers are Grafana's, and the documentation shows them all."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from grafana.kit.files import DASHBOARDS
from grafana.pictures import browser
from grafana.pictures.__main__ import FOLDER, IN_DOCS, dashboards
from grafana.pictures.answers import moment, plain, wide
from settings import ROOT

NOW = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)  # 01:30 on the next day in Nairobi
MOST_BYTES = 300_000
PICTURES = {*IN_DOCS, "documentation", "report"}
FIELDS = [
    {"name": "time", "type": "time"},
    {"name": "metric", "type": "string"},
    {"name": "value", "type": "number"},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("now-6h", datetime(2026, 3, 2, 16, 30, tzinfo=UTC)),
        ("now/d", datetime(2026, 3, 2, 21, tzinfo=UTC)),
        ("now-7d/d", datetime(2026, 2, 23, 21, tzinfo=UTC)),
        ("1772490600000", NOW),
    ],
)
def test_a_time_is_read_as_grafana_reads_it(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


def test_an_unknown_time_is_refused() -> None:
    with pytest.raises(ValueError, match="now/w"):
        moment("now/w", NOW)


def test_values_arrive_as_in_grafanas_browser_part() -> None:
    assert plain(NOW) == 1772490600000
    assert plain(date(2026, 3, 2)) == 1772409600000  # midnight UTC
    assert plain(Decimal("1.50")) == 1.5
    assert plain(["a", "b"]) == "{a,b}"
    assert plain(None) is None


def test_a_series_per_metric_has_one_column_each() -> None:
    fields, rows = wide(FIELDS, [[1, "b", 10], [1, "a", 20], [2, "b", 30]])
    assert [field["name"] for field in fields] == ["Time", "a", "b"]
    assert rows == [[1, 20, 10], [2, None, 30]]


def test_a_text_that_is_no_metric_labels_its_column() -> None:
    fields, _ = wide([FIELDS[0], {"name": "place", "type": "string"}, FIELDS[2]], [[1, "a", 10]])
    assert fields[1] == {"name": "value", "labels": {"place": "a"}, "type": "number"}


def test_a_series_that_is_not_sorted_is_an_error_as_in_grafana() -> None:
    with pytest.raises(ValueError, match="sorted"):
        wide(FIELDS, [[2, "a", 1], [1, "a", 2]])


def test_all_draws_each_dashboard_in_each_way(tmp_path: Path) -> None:
    names = [shot["name"] for shot in dashboards("http://here", "KDA 1", tmp_path, every=True)]
    assert len(names) == len(set(names)) == 6 * len(DASHBOARDS)


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser.shutil, "which", lambda _: None)
    with pytest.raises(browser.CannotDraw, match="node is missing"):
        browser.chromium()
    monkeypatch.setattr(
        browser.shutil, "which", lambda name: name if name in ("node", "npm") else None
    )
    with pytest.raises(browser.CannotDraw, match="Chromium is missing"):
        browser.chromium()


def test_the_lock_holds_the_packages_that_are_named() -> None:
    named = json.loads((browser.SOURCE / "package.json").read_text())["dependencies"]
    locked = json.loads((browser.SOURCE / "package-lock.json").read_text())["packages"]
    assert locked[""]["dependencies"] == named
    for name, version in named.items():
        assert locked[f"node_modules/{name}"]["version"] == version


def test_pictures_are_small_and_shown_in_the_documentation() -> None:
    drawn = {file.stem: file for file in FOLDER.glob("*.webp")}
    assert drawn.keys() == PICTURES
    for name, file in drawn.items():
        assert file.stat().st_size < MOST_BYTES, name
    texts = [(ROOT / page).read_text() for page in ("README.md", "docs/DASHBOARDS.md")]
    shown = {name for text in texts for name in re.findall(r"pictures/([\w-]+)\.webp", text)}
    assert shown == PICTURES


def test_the_page_names_every_dashboard() -> None:
    page = (ROOT / "docs/DASHBOARDS.md").read_text()
    for dashboard in DASHBOARDS.values():
        assert f"| {dashboard['title']} |" in page
        assert f"### {dashboard['title']}" in page
