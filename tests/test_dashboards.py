"""The generated dashboards: up to date, valid for Grafana, and following our rules."""

import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import yaml
from sqlglot import exp

from analyst.docs.framework import slug
from analyst.kpi.catalogue import DOMAINS, Catalogue
from grafana.__main__ import main
from grafana.boards import BOARDS, encoded
from grafana.kit.expand import expand
from grafana.kit.files import ALL_QUERIES, DASHBOARDS, PanelQuery, panels, variables
from settings import ROOT

START, END = (datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (3, 4))
# Units that Grafana prints as they are. Most others scale: 126,000 km becomes 126 Mm.
FIXED_UNITS = {"none", "percent", "velocitykmh", "degree", "dtdhms", "bytes", "suffix:", "time:"}
# Expressions that compute. A comparison with a constant is a filter and allowed.
COMPUTING = (exp.AggFunc, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Join, exp.Case, exp.Window)
COMPUTING += (exp.Group, exp.Having, exp.DPipe, exp.Cast, exp.Coalesce)
# Tables that the service writes, not dbt.
SERVICE_TABLES = {"dbt_run_history", "job_runs", "spool_status"}


# Rows that a panel of this kind can draw or that somebody reads.
DRAWABLE = {"table": 1000, "stat": 60, "geomap": 2000, "timeseries": 10000}
DRAWABLE |= {"state-timeline": 5000, "status-history": 5000}
# Sources with a row per place and day, or per KPI of a place: the time range bounds them.
OF_PLACES = {"kpi_values", "kpi_monthly", "kpi_live", "fleet_now", "alarm_days", "fleet_hours"}
OF_PLACES |= {"api_calls_hourly", "rejection_days"}  # and those of an endpoint


def parsed(query: PanelQuery) -> exp.Expr:
    """The query's syntax tree, with macros and variables replaced by constants."""
    sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > '2026-01-01'", query.sql)
    sql = re.sub(r"\$__time(?:From|To)\(\)", "'2026-01-01'", sql)
    return sqlglot.parse_one(re.sub(r"\$\{\w+:sqlstring\}", "'x'", sql), dialect="postgres")


def test_json_files_match_their_source() -> None:
    made = {dashboard["uid"]: dashboard for dashboard in (encoded(f()) for f in BOARDS)}
    assert len(made) == len(BOARDS) == 8
    assert made == DASHBOARDS, "the JSON is stale: run make dashboards"


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_grafana_types_round_trip_each_file(uid: str) -> None:
    """Grafana's types drop a misspelt key, so a file with one would differ."""
    assert encoded(DASHBOARDS[uid]) == DASHBOARDS[uid]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_dashboard_follows_common_rules(uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    assert dashboard["uid"] == uid
    assert dashboard["timezone"] == "Africa/Nairobi"
    assert dashboard["description"].endswith("?")
    assert dashboard["refresh"] == {"noc-live": "30s", "daily-operations": "1m"}.get(uid, "")
    names = [variable["name"] for variable in variables(dashboard)]
    assert names[:2] == ["city", "cost_centre"]
    for variable in variables(dashboard):
        if variable["name"] != "kpi" and (uid, variable["name"]) != ("vehicle", "vehicle"):
            assert variable["multi"], variable["name"]
            assert variable["allValue"] == "'__all'", variable["name"]
    numbers = [panel["id"] for panel in panels(dashboard)]
    assert len(numbers) == len(set(numbers))
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place.get("x", 0) + place["w"] <= 24, panel["title"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_each_panel_has_help_link_empty_text_and_known_units(uid: str, manifest_file: Path) -> None:
    pages = {slug(k.meta["domain"]) for k in Catalogue(manifest_file).kpis.values()} | {"overview"}
    for panel in panels(DASHBOARDS[uid]):
        # Without a target Grafana's router takes the link and shows its own 404.
        link = re.search(
            r'<a href="\$\{docs\}#!/overview/([a-z-]+)" target="_blank">', panel["description"]
        )
        assert link, panel["title"]
        assert link[1] in pages, panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"].endswith((".", "!")), panel["title"]
        used = [panel["fieldConfig"]["defaults"].get("unit")]
        for override in panel["fieldConfig"]["overrides"]:
            used += [p["value"] for p in override["properties"] if p["id"] == "unit"]
        assert {re.sub(r":.*", ":", unit) for unit in used if unit} <= FIXED_UNITS, panel["title"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_no_panel_uses_a_default_of_grafana_that_misleads(uid: str) -> None:
    for link in DASHBOARDS[uid]["links"]:
        assert "placement" not in link, "Grafana's link bar leaves such a link out"
    for panel in panels(DASHBOARDS[uid]):
        default = panel["fieldConfig"]["defaults"]
        assert default["thresholds"]["steps"], f"{panel['title']}: red from 80 on"
        if panel["type"] != "table":
            continue
        titles = []
        for override in panel["fieldConfig"]["overrides"]:
            properties = {p["id"]: p["value"] for p in override["properties"]}
            # Otherwise an empty cell has the text of a panel without rows.
            assert properties["noValue"] == "–", (panel["title"], override["matcher"])
            titles.append(properties["displayName"])
        assert len(titles) == len(set(titles)), f"{panel['title']}: the second column would win"


def test_links_point_to_existing_dashboards_and_variables() -> None:
    text = json.dumps(DASHBOARDS)
    linked = set(re.findall(r"/d/([a-z-]+)", text))
    assert linked == {"vehicle", "kpi-scoreboard"}
    assert linked <= DASHBOARDS.keys()
    for uid, name in re.findall(r"/d/([a-z-]+)\?[^\"]*?var-(\w+)=", text):
        assert name in {variable["name"] for variable in variables(DASHBOARDS[uid])}
    for query in ALL_QUERIES:
        used = set(re.findall(r"\$\{(\w+)", query.sql))
        known = {variable["name"] for variable in variables(DASHBOARDS[query.uid])}
        assert used <= known, query


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_panel_queries_only_select_filter_and_order(uid: str) -> None:
    for query in (query for query in ALL_QUERIES if query.uid == uid):
        tree = parsed(query)
        assert not list(tree.find_all(*COMPUTING)), query
        if query.kind != "variable":
            assert isinstance(tree, exp.Select), query
            assert len(list(tree.find_all(exp.Select))) == 1, query
        for table in tree.find_all(exp.Table):
            assert table.db == "dwh_gold", query


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_no_panel_reads_more_rows_than_it_can_draw(uid: str) -> None:
    for query in (query for query in ALL_QUERIES if query.uid == uid):
        if query.kind == "variable" or (query.ref_id == "B" and query.kind != "geomap"):
            continue  # Grafana shows the first 1,000 options; B is one row of settings
        tree = parsed(query)
        limit = tree.args.get("limit")
        if limit is not None:
            assert int(limit.expression.this) <= DRAWABLE[query.kind], query
        else:
            (table,) = tree.find_all(exp.Table)
            per_vehicle = "scope = 'vehicle'" in query.sql and "${vehicle" in query.sql
            assert per_vehicle or table.name in OF_PLACES | SERVICE_TABLES, query


def test_units_that_tiles_read_do_not_scale(manifest: dict[str, Any]) -> None:
    """The unit "h" of a KPI is also one of Grafana's, which turns 81 h into 3.4 days."""
    tiles = [query for query in ALL_QUERIES if query.panel.get("transformations")]
    assert tiles
    for query in tiles:
        columns = query.sql.partition("\nfrom ")[0]
        assert re.findall(r"(\w+ as )?\bunit\b", columns) in ([], ["display_unit as "]), query
    sql = manifest["nodes"]["model.dbt_fireside.kpi_register"]["raw_code"]
    assert re.search(r"'percent' else 'suffix:' \|\| \S+ end\s+as display_unit", sql)


def test_register_has_the_domains_in_the_order_of_the_pages(manifest: dict[str, Any]) -> None:
    sql = manifest["nodes"]["model.dbt_fireside.kpi_register"]["raw_code"]
    listed = re.search(r"set domains = \[(.*?)\]", sql, re.DOTALL)
    assert re.findall(r"'([^']+)'", listed[1]) == list(DOMAINS)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_exposure_names_exactly_the_tables_that_are_read(
    uid: str, manifest: dict[str, Any]
) -> None:
    read = {
        table.name
        for query in ALL_QUERIES
        if query.uid == uid
        for table in parsed(query).find_all(exp.Table)
    }
    (exposure,) = [
        e
        for e in manifest["exposures"].values()
        if e["config"]["meta"]["readers"] == [f"grafana/dashboards/{uid}.json"]
    ]
    named = {node.rpartition(".")[2] for node in exposure["depends_on"]["nodes"]}
    assert named == read - SERVICE_TABLES


def test_diff_lists_each_edit_made_in_grafana(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = copy.deepcopy(DASHBOARDS["noc-live"])
    export |= {"id": 7, "version": 12, "annotations": {"list": [{"builtIn": 1, "name": "x"}]}}
    export["panels"][0]["pluginVersion"] = "13.1.0"
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export))
    assert main(["diff", str(file)]) == 0
    assert capsys.readouterr().out == "no change\n"

    export["panels"][1]["fieldConfig"]["overrides"][1]["properties"][0]["value"] = "Newest"
    del export["panels"][-1]
    file.write_text(json.dumps(export))
    assert main(["diff", str(file)]) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[:3] == [
        "panels[Vehicles by state, in the colours of the map].fieldConfig"
        ".overrides[driving_count].properties[displayName].value",
        "  source: ${__data.fields.scope_value}: Moving",
        "  export: Newest",
    ]
    assert "panels[Alarms of low severity]" in output
    assert "  export: -" in output

    file.write_text('{"uid": "elsewhere"}')
    with pytest.raises(SystemExit) as ended:
        main(["diff", str(file)])
    assert ended.value.code == 2


def test_grafana_is_provisioned_with_the_dashboards_folder() -> None:
    provisioned = ROOT / "grafana/provisioning/dashboards/fleet.yaml"
    (provider,) = yaml.safe_load(provisioned.read_text())["providers"]
    assert provider["folderUid"] == "fleet"
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


def test_expand_refuses_unknown_variables_formats_and_macros() -> None:
    with pytest.raises(ValueError, match=":sqlstring"):
        expand("select ${city}", {"city": ["x"]}, START, END)
    with pytest.raises(ValueError, match="no variable town"):
        expand("select ${town:sqlstring}", {"city": ["x"]}, START, END)
    with pytest.raises(ValueError, match=r"unknown macro: \$__unknown"):
        expand("select $__unknown(x)", {}, START, END)
    assert expand("$__timeGroup(t, '5m')", {}, START, END) == "floor(extract(epoch from t)/300)*300"
    assert expand("$__from ${__to} $__interval", {}, START, END) == "1772420400000 1772424000000 1m"
    assert expand("x in (${city:sqlstring})", {"city": ["O'Brien", "b"]}, START, END) == (
        "x in ('O''Brien','b')"
    )
