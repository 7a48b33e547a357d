"""Links between dashboards: a reader keeps what was chosen, and each row leads on."""

from collections.abc import Iterator
from typing import Any

import pytest

from grafana.kit.files import DASHBOARDS, panels
from grafana.kit.query import DOCS

KEPT = ("city", "cost_centre", "vehicle")


def columns(panel: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and properties of each column that a table or map knows."""
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["id"] == "byName":
            yield (
                override["matcher"]["options"],
                {p["id"]: p["value"] for p in override["properties"]},
            )


def panels_with(uid: str, column: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The tables and maps that have this column, and the column's properties."""
    for panel in panels(DASHBOARDS[uid]):
        for name, properties in columns(panel):
            if name == column and panel["type"] in ("table", "geomap"):
                yield panel, properties


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_menu_leads_to_all_dashboards_and_keeps_place_vehicle_and_time(uid: str) -> None:
    (menu,) = DASHBOARDS[uid]["links"]
    assert menu["type"] == "dashboards"
    assert menu["keepTime"]
    assert menu["includeVars"]
    assert all(set(menu["tags"]) <= set(other["tags"]) for other in DASHBOARDS.values())
    # Grafana passes on only the variables of the dashboard that is left.
    known = {variable["name"]: variable for variable in DASHBOARDS[uid]["templating"]["list"]}
    for name in KEPT:
        assert not known[name]["skipUrlSync"], name


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_each_row_with_a_vehicle_leads_to_it(uid: str) -> None:
    for panel, vehicle in panels_with(uid, "vehicle_id"):
        urls = [link["url"] for link in vehicle.get("links", [])]
        assert any(url.startswith("/d/vehicle?") for url in urls), panel["title"]
        for url in urls:
            assert "var-vehicle=${__data.fields.vehicle_id:percentencode}" in url, panel["title"]
            for kept in ("${__url_time_range}", "${city:queryparam}", "${cost_centre:queryparam}"):
                assert kept in url, panel["title"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_each_row_with_a_kpi_leads_to_its_definition_in_a_new_tab(uid: str) -> None:
    for panel, kpi in panels_with(uid, "label"):
        (link,) = kpi["links"]
        assert link["url"] == "${docs}${__data.fields.docs_path:raw}", panel["title"]
        assert link["targetBlank"], panel["title"]
        assert "docs_path" in dict(columns(panel)), panel["title"]
    (docs,) = [v for v in DASHBOARDS[uid]["templating"]["list"] if v["name"] == "docs"]
    assert docs["query"] == DOCS


def test_vehicles_and_kpis_are_found_on_dashboards() -> None:
    """Otherwise the tests above would pass over nothing."""
    assert sum(1 for uid in DASHBOARDS for _ in panels_with(uid, "vehicle_id")) > 10
    assert sum(1 for uid in DASHBOARDS for _ in panels_with(uid, "label")) >= 3


def test_a_trip_leads_to_its_trail_and_keeps_the_place() -> None:
    urls = [
        link["url"]
        for dashboard in DASHBOARDS.values()
        for panel in panels(dashboard)
        for _, properties in columns(panel)
        for link in properties.get("links", [])
        if link["title"] == "Trip"
    ]
    assert urls
    for url in urls:
        for part in ("from=${__data.fields.start_time.numeric}", "${city:queryparam}"):
            assert part in url
