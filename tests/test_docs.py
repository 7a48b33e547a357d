"""The client's documentation matches the definitions, as embedded markdown and in a browser."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from docs_reader import BROWSER, BrowserDocs, DocsPage, EmbeddedDocs, Table

from analyst.docs import registers, site
from analyst.docs.client_pages import feedback
from analyst.docs.framework import Framework, table
from analyst.kpi.catalogue import Catalogue, Unknown
from settings import ROOT, Settings
from warehouse import dbt_runner
from warehouse.database import Database

REMARK = "Split by | shift: <b>bold</b> </script>"


@pytest.fixture(scope="module")
def file(
    gold: psycopg.Connection, server: Database, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """index.html of a built fleet, with client feedback that tries to inject HTML."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(dbt_runner.PROJECT / "seeds", project / "seeds")
    shutil.copy(dbt_runner.PROJECT / "fixes.yml", project)
    with (project / "seeds/kpi_feedback.csv").open("a") as log:
        log.write(f'2026-11-02,fleet.utilisation,dispatcher,"{REMARK}",later,open\n')
    settings = Settings(work_dir=tmp_path_factory.mktemp("work"))
    database = server.sibling(gold.info.dbname, create=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registers, "PROJECT", project)
        return site.write(settings, database, tmp_path_factory.mktemp("public"))


@pytest.fixture(scope="module", params=["embedded", "browser"])
def page(request: pytest.FixtureRequest, file: Path) -> DocsPage:
    if request.param == "embedded":
        return EmbeddedDocs(file)
    if BROWSER is None:
        pytest.skip("chromium is not installed; the embedded markdown is tested instead")
    return BrowserDocs(file)


@pytest.fixture(scope="module")
def catalogue(manifest_file: Path) -> Catalogue:
    return Catalogue(manifest_file)


def rows(page: DocsPage, name: str, title: str) -> Table:
    """The rows of all tables of a page that have a column of this title."""
    return [row for table in page.tables(name) if title in table[0] for row in table[1:]]


def letters(text: str) -> str:
    """Letters and digits only, so that 100 * a_b equals 100 × a b."""
    return re.sub(r"[\W_]", "", text).lower()


def test_overview_defines_every_kpi(page: DocsPage, catalogue: Catalogue) -> None:
    definitions = {row[0]: row for row in rows(page, "overview", "How it is worked out")}
    assert len(catalogue.kpis) > 50
    for kpi in catalogue.kpis.values():
        meta = kpi.meta
        row = definitions[meta["label"]]
        assert row[1] == meta["unit"]
        assert letters(row[2]) == letters(meta["formula"])
        for rule in meta["rules"]:
            assert rule.replace("_", " ") in row[3]
        assert row[4] == (meta["gate"] or "").strip()
        assert row[5] == meta["cadence"]
        bounds = [meta[name] for name in ("target", "warn_at", "critical_at")]
        assert (row[6] == "no band agreed") == (bounds == [None] * 3)
        assert row[7].startswith(meta["kpi_status"].replace("_", " "))
        assert row[8] == meta["kpi_owner"]
    assert definitions["Utilisation rate"] == [
        "Utilisation rate",
        "%",
        "100 × driving time / (shift length × vehicles that reported).",
        "shift first weekday 1 day of week, assumed; shift last weekday 5 day of week, assumed;"
        " shift length 9 h, assumed",
        "The day has no shift, or no vehicle reported.",
        "daily",
        "no band agreed",
        "proposed, assumed",
        "operations",
    ]


def test_overview_shows_the_values_of_gold(
    page: DocsPage, gold: psycopg.Connection, catalogue: Catalogue
) -> None:
    header = next(table[0] for table in page.tables("overview") if "Fleet" in table[0])
    assert header[:3] == ["KPI", "Unit", "Fleet"]
    assert {"Nairobi", "Mombasa", "Kampala"} < set(header)
    shown = {row[0]: row for row in rows(page, "overview", "Fleet")}
    # Live values have changed since the page was written.
    kept = gold.execute(
        "select kpi_id, scope_value, value from dwh_gold.kpi_now"
        " where scope in ('fleet', 'city') and day is not null"
    ).fetchall()
    known = 0
    for kpi_id, place, value in kept:
        kpi = catalogue.kpi(kpi_id)
        cell = shown[kpi.meta["label"]][header.index(place)]
        assert cell == kpi.shown(value, unit=False), (kpi_id, place)
        known += value is not None
    assert known > 100


def test_every_domain_has_a_page(file: Path, catalogue: Catalogue) -> None:
    found: list[str] = []
    for domain in catalogue.domains():
        name = domain.lower().replace(" ", "-")
        found += [row[0] for row in rows(EmbeddedDocs(file), name, "How it is worked out")]
    assert sorted(found) == sorted(kpi.meta["label"] for kpi in catalogue.kpis.values())


def test_links_point_to_existing_pages(page: DocsPage, file: Path) -> None:
    manifest = EmbeddedDocs(file).manifest
    names = {f"#!/overview/{doc['name'].strip('_')}" for doc in manifest["docs"].values()}
    things = manifest["nodes"] | manifest["unit_tests"]
    count = 0
    for name in ("overview", "decisions", "fixes", "feedback"):
        for link in page.links(name):
            if not link.startswith("#!/") or link.count(".") < 2:
                assert not link.startswith("#!/overview/") or link in names
                continue
            kind, unique_id = link.removeprefix("#!/").split("/", 1)
            assert unique_id in things, link
            assert things[unique_id]["resource_type"] == kind
            count += 1
    assert count > 100


def test_open_decisions_list_unknown_rules_first(page: DocsPage, catalogue: Catalogue) -> None:
    shown = rows(page, "decisions", "Rule")
    seed = [rule for rule in registers.rules() if not rule.is_agreed]
    assert sorted((row[0], row[1]) for row in shown) == sorted(
        (rule.name.replace("_", " "), rule.city or "all") for rule in seed
    )
    values = [row[2] for row in shown]
    unknown = sum(rule.value is None for rule in seed)
    assert unknown
    assert values[:unknown] == [""] * unknown
    assert "" not in values[unknown:]
    used_by = {row[0]: row[5] for row in shown}
    for kpi in catalogue.kpis.values():
        for rule in kpi.rules:
            agreed = rule.replace("_", " ") not in used_by
            assert agreed or kpi.meta["label"] in used_by[rule.replace("_", " ")]


def test_fix_page_names_the_tests_of_each_fix(page: DocsPage) -> None:
    shown = {row[0]: row for row in rows(page, "fixes", "Fix")}
    for fix in ("FIX-M11", "FIX-M13", "FIX-M14", "FIX-M15", "FIX-M16", "FIX-M17", "FIX-E06"):
        assert shown[fix][3].count(";") >= 1, fix  # a data test and a unit test
    assert "metres" in shown["FIX-M16"][1]
    assert "trip distance is km" in shown["FIX-M16"][3]


def test_feedback_is_shown_verbatim(page: DocsPage) -> None:
    assert rows(page, "feedback", "Feedback") == [
        [
            "2026-11-02",
            "Utilisation rate",
            "dispatcher",
            REMARK,
            "later",
            "open",
        ]
    ]


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_kpi_links_to_its_model(file: Path) -> None:
    browser = BrowserDocs(file)
    link = next(link for link in browser.links("overview") if "fleet_utilisation" in link)
    text = browser.open(link).text
    assert "One row per day, scope and value" in text
    assert "utilisation_pct" in text
    assert "Fleet KPIs" in browser.open("").text  # the client's page opens first


def test_docs_file_needs_no_network_and_contains_no_local_paths(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", text)
    # dbt's own page would load a tracking script.
    assert EmbeddedDocs(file).manifest["metadata"]["send_anonymous_usage_stats"] is False
    assert str(ROOT) not in text
    assert str(file.parents[1]) not in text  # pytest's folder, which holds dbt's target


def test_docs_show_no_values_before_the_first_build(new_database: Callable[[], Database]) -> None:
    assert site.last_values(new_database()).places == ()


def test_agreed_rules_are_not_shown_as_assumed(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dbt_runner.PROJECT / "seeds", tmp_path / "seeds")
    monkeypatch.setattr(registers, "PROJECT", tmp_path)
    seed = tmp_path / "seeds/operating_rules.csv"
    assert Framework(catalogue, str).is_assumed(catalogue.kpi("fleet.utilisation"))
    agreed = [
        line.replace(",false,", ",true,") if line.startswith("shift_") else line
        for line in seed.read_text().splitlines()
    ]
    seed.write_text("\n".join(agreed))
    assert not Framework(catalogue, str).is_assumed(catalogue.kpi("fleet.utilisation"))
    log = tmp_path / "seeds/kpi_feedback.csv"
    assert feedback(Framework(catalogue, str)) == "No feedback has been written down yet."
    log.write_text(log.read_text() + "2026-11-02,fleet.utilization,dispatcher,,,open\n")
    with pytest.raises(Unknown, match=r"fleet\.utilisation"):
        feedback(Framework(catalogue, str))


def test_cell_text_cannot_break_its_table() -> None:
    assert table(("A", "N:"), [("a|b\nc", 1)]) == "| A | N |\n| --- | ---: |\n| a&#124;b c | 1 |"
