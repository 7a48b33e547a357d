"""Alert rules: the files are consistent, each query runs as grafana_ro and fires when it should."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from grafana.kit.files import DASHBOARDS, panels
from settings import ROOT

PROVISIONING = ROOT / "grafana/provisioning"
DURATION = re.compile(r"(\d+)([smh])")


def read(path: str) -> dict[str, Any]:
    return yaml.safe_load((PROVISIONING / path).read_text())


NOTIFICATIONS = read("alerting/notifications.yaml")
GROUPS = read("alerting/rules.yaml")["groups"]
RULES = {rule["uid"]: rule for group in GROUPS for rule in group["rules"]}
SQL = {uid: rule["data"][0]["model"]["rawSql"] for uid, rule in RULES.items()}
OF_VEHICLES = {uid for uid, sql in SQL.items() if "dwh_gold.alert_items" in sql}

FIX = "update tracksolid.newest_fixes set gps_time = now() - interval '1 minute'"
ALARM = """
    update dwh_gold.fact_alarms
    set alarm_time = now(), alarm_class = '{}', severity = 'high'
    where ctid = (select ctid from dwh_gold.fact_alarms limit 1)
"""
JOB = """
    insert into dwh_gold.job_runs (job, status, started_at, succeeded_at, rows, failures_in_a_row)
    values ('{}', '{}', now(), {}, {}, {})
"""
NO_SITUATION = [
    f"{FIX}, speed_kmh = 0, is_ignition_on = false, battery_pct = 90",
    "update dwh_gold.dim_vehicles set assigned_city = null",
    "update dwh_gold.kpi_vehicle_health_daily set km_to_service = 4000",
    "update dwh_gold.fact_trips set end_time = now() - interval '1 day'",
    "delete from dwh_gold.fact_alarms where alarm_time > now() - interval '1 day'",
    "delete from tracksolid.ingestion_log",
    "delete from tracksolid.rejected_records",
]
# SQL that creates the situation of each rule. The views' unit tests cover the exact limits, and
# driving at night, which needs recent nights.
SITUATIONS = {
    "units-silent": "update tracksolid.newest_fixes set gps_time = now() - interval '25 hours'",
    "over-speed": f"{FIX}, speed_kmh = 300",
    "outside-city": f"{FIX}, latitude = 30, longitude = 30;"
    " update dwh_gold.dim_vehicles set assigned_city = 'Nairobi'",
    "idling": f"{FIX}, speed_kmh = 0, is_ignition_on = true;"
    " update dwh_gold.vehicle_states set state = 'idling' where end_time is null",
    "battery-low": f"{FIX}, battery_pct = 1",
    "service-due": "update dwh_gold.kpi_vehicle_health_daily set km_to_service = 1",
    "after-hours-trip": "update dwh_gold.fact_trips set is_after_hours = true, end_time = now(),"
    " day_start = now() - interval '1 hour'",
    "power-cut": ALARM.format("power"),
    "sos": ALARM.format("sos"),
    "tamper": ALARM.format("tamper"),
    "no-positions": JOB.format("location_list", "ok", "now() - interval '6 minutes'", 40, 0),
    "job-failing": JOB.format("drain", "failed", "null", "null", 3),
    "night-bad": JOB.format("nightly", "failed", "now()", "null", 1),
    "data-stale": "insert into dwh_gold.dbt_run_history"
    " (run_id, command, started_at, finished_at, node, resource_type, name, status)"
    " values ('1', 'source freshness', now(), now(), 'source.x', 'source', 'x', 'error')",
    "spool-growing": "insert into dwh_gold.spool_status"
    " (measured_at, pushes_waiting, oldest_waiting_at, bytes)"
    " values (now(), 7, now() - interval '1 hour', 1)",
    "rejected-records": "insert into tracksolid.rejected_records"
    " (source, record_id, is_kept, fetched_at, load_id)"
    " select 'push_gps', n::text, false, now(), '1' from generate_series(1, 11) as n",
}


@contextmanager
def rolled_back(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Roll back what the block changes."""
    with connection.transaction(force_rollback=True):
        yield connection


def alerts(connection: psycopg.Connection, sql: str) -> dict[tuple[str, ...], float | None]:
    """Labels -> value, as Grafana reads it: text columns are labels, the number is the value."""
    connection.execute("set local role grafana_ro")
    answer = connection.execute(sql.encode())
    types = [psycopg.adapters.types[column.type_code].name for column in answer.description]
    rows = answer.fetchall()
    connection.execute("set local role none")
    assert types[:-1] == ["text"] * len(types[:-1])
    assert types[-1] in ("int4", "numeric")
    found = {row[:-1]: row[-1] for row in rows}
    assert len(found) == len(rows), "two rows with the same labels: Grafana refuses the answer"
    return found


def firing(connection: psycopg.Connection, uid: str) -> set[tuple[str, ...]]:
    """Labels of the alerts that fire."""
    found = alerts(connection, SQL[uid])
    assert uid in OF_VEHICLES or found, "no row: Grafana would alert for missing data"
    return {labels for labels, count in found.items() if count and count > 0}


@pytest.mark.parametrize("uid", RULES)
def test_no_rule_fires_before_the_first_poll(empty: psycopg.Connection, uid: str) -> None:
    with rolled_back(empty):
        assert firing(empty, uid) == set()


@pytest.mark.parametrize("uid", SITUATIONS)
def test_rule_fires_in_its_situation(gold: psycopg.Connection, uid: str) -> None:
    with rolled_back(gold):
        for statement in NO_SITUATION:
            gold.execute(statement.encode())
        assert firing(gold, uid) == set()
        gold.execute(SITUATIONS[uid].encode())
        found = firing(gold, uid)
        assert found
        listed = gold.execute(
            "select alert_name, severity, city, vehicle_id, driver_name from dwh_gold.alert_items"
            " where alert = %s",
            [uid],
        ).fetchall()
        # The dashboard's list has the same name, severity and vehicles as the alerts.
        assert {row[:2] for row in listed} == {
            (RULES[uid]["title"], RULES[uid]["labels"]["severity"])
        }
        assert uid not in OF_VEHICLES or {row[2:] for row in listed} == found
        for query in RULES[uid]["data"][1:-1]:
            # Since when and where: Grafana finds them by the same labels.
            assert alerts(gold, query["model"]["rawSql"]).keys() == found


def group_of(labels: dict[str, str]) -> tuple[str, ...]:
    """The notification group of an alert, by the first policy that matches its labels."""
    (root,) = NOTIFICATIONS["policies"]
    for policy in (*root["routes"], root):
        matchers = policy.get("object_matchers", [])
        if all(labels.get(name) == value for name, _, value in matchers):
            return tuple(labels[name] for name in policy.get("group_by", root["group_by"]))
    raise AssertionError("the root policy matches everything")


@pytest.mark.parametrize("kind", ["power", "sos", "tamper"])
def test_a_second_vehicle_of_the_city_is_reported_at_once(
    gold: psycopg.Connection, kind: str
) -> None:
    uid = {"power": "power-cut"}.get(kind, kind)
    with rolled_back(gold):
        for statement in NO_SITUATION:
            gold.execute(statement.encode())
        gold.execute(
            f"""
            update dwh_gold.fact_alarms
            set alarm_time = now() - interval '5 minutes', alarm_class = '{kind}',
                severity = 'high', city = 'Nairobi'
            where ctid in (
                select min(ctid) from dwh_gold.fact_alarms group by vehicle_id limit 2
            )
        """.encode()
        )
        names = ("city", "vehicle_id", "driver_name")
        groups = {
            group_of(
                dict(zip(names, labels, strict=True), alertname=RULES[uid]["title"])
                | RULES[uid]["labels"]
            )
            for labels in firing(gold, uid)
        }
    assert len(groups) == 2, "a group that has fired waits before it reports another alert"
    critical = NOTIFICATIONS["policies"][0]["routes"][0]
    assert critical["group_wait"] == "0s"
    assert RULES[uid]["for"] == "0s"


def test_every_alert_of_the_views_has_a_rule(manifest: dict[str, Any]) -> None:
    """And every rule has a situation here, except the one that only a unit test can create."""
    sql = manifest["nodes"]["model.dbt_fireside.alert_items"]["raw_code"]
    listed = sql[sql.index("values") : sql.index("as alert (")]
    assert re.findall(r"^ +\(?\s*'([a-z-]+)', '[A-Z]", listed, re.MULTILINE) == sorted(
        RULES, key=lambda uid: listed.index(f"'{uid}'")
    )
    assert RULES.keys() - SITUATIONS.keys() == {"out-at-night"}
    exposure = manifest["exposures"]["exposure.dbt_fireside.alerts"]
    read = {name.rpartition(".")[2] for name in exposure["depends_on"]["nodes"]}
    assert read == {"alert_items", "alert_service"}


def test_labels_of_an_alert_do_not_change_while_it_fires() -> None:
    """A changed label is a new alert: times, places and measures come from further queries."""
    for uid in OF_VEHICLES:
        queries = [query["model"]["rawSql"] for query in RULES[uid]["data"][:-1]]
        for sql, column in zip(
            queries, ("events_count", "since_s", "latitude", "longitude"), strict=True
        ):
            assert sql == (
                f"select city, vehicle_id, driver_name, {column}"
                f" from dwh_gold.alert_items where alert = '{uid}'"
            )


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rule_is_complete_and_links_to_dashboard_and_runbook(rule: dict[str, Any]) -> None:
    *queries, condition = rule["data"]
    assert queries[0]["refId"] == condition["model"]["expression"]
    for query in queries:
        assert query["refId"] == query["model"]["refId"]
        assert query["model"]["format"] == "table"
        assert query["datasourceUid"] == read("datasources/gold.yaml")["datasources"][0]["uid"]
    assert condition["datasourceUid"] == "__expr__"
    assert rule["condition"] == condition["refId"] == condition["model"]["refId"]
    assert condition["model"]["conditions"] == [{"evaluator": {"type": "gt", "params": [0]}}]
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    annotations = rule["annotations"]
    texts = " ".join(annotations.values())
    known = {query["refId"] for query in queries}
    assert set(re.findall(r"\$values\.(\w+)", texts)) <= known
    if rule["uid"] in OF_VEHICLES:
        for label in ("city", "vehicle_id", "driver_name"):
            assert f"$labels.{label}" in annotations["summary"]
        assert "$values.Since" in annotations["since"]
        assert "$values.Latitude" in annotations["map_url"]
    else:
        assert "$labels" not in texts, "an alert for missing data has no label"
    assert annotations["description"].endswith((".", "?")), "what to do"
    assert (annotations["__dashboardUid__"], annotations["__panelId__"]) == (
        rule["dashboardUid"],
        str(rule["panelId"]),
    )
    (panel,) = [
        panel
        for panel in panels(DASHBOARDS[rule["dashboardUid"]])
        if panel["id"] == rule["panelId"]
    ]
    assert "dwh_gold.alert_items" in panel["targets"][0]["rawSql"]
    board = re.match(r"\{\{ externalURL \}\}d/([\w-]+)", annotations["dashboard_url"])
    assert board[1] in DASHBOARDS
    assert annotations["runbook_url"].partition("#")[2] in runbook()


def runbook() -> set[str]:
    """Anchors of the runbook's headings, as Markdown renderers make them."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/RUNBOOK.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_no_rule_flaps() -> None:
    """Waiting time plus keep-firing time cover at least two evaluations."""
    for group in GROUPS:
        for rule in group["rules"]:
            damped = seconds(rule["for"]) + seconds(rule["keepFiringFor"])
            assert damped >= 2 * seconds(group["interval"]), rule["uid"]


def seconds(text: str) -> float:
    number, unit = DURATION.fullmatch(text).groups()
    units = {"s": "seconds", "m": "minutes", "h": "hours"}
    return timedelta(**{units[unit]: int(number)}).total_seconds()


def test_policies_use_existing_receivers_severities_and_mute_times() -> None:
    assert len(RULES) == sum(len(group["rules"]) for group in GROUPS), "a uid is used twice"
    assert len({rule["title"] for rule in RULES.values()}) == len(RULES)
    receivers = {point["name"] for point in NOTIFICATIONS["contactPoints"]}
    mutes = {time["name"] for time in NOTIFICATIONS["muteTimes"]}
    (root,) = NOTIFICATIONS["policies"]
    severities = {rule["labels"]["severity"] for rule in RULES.values()}
    for policy in (root, *root["routes"]):
        assert policy["receiver"] in receivers
        assert set(policy.get("mute_time_intervals", [])) <= mutes
        for label, _, value in policy.get("object_matchers", []):
            assert (label, {value} <= severities) == ("severity", True)


def test_provisioning_variables_are_set_and_documented() -> None:
    connections = (ROOT / "docs/CONNECTIONS.md").read_text()
    stack = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    given = stack["services"]["grafana"]["environment"]
    found = {
        name
        for file in PROVISIONING.rglob("*.yaml")
        for name in re.findall(r"\$\{?([A-Z_]+)", Path(file).read_text())
    }
    assert found >= {"ALERT_EMAIL", "GRAFANA_RO_PASSWORD"}
    assert found <= given.keys()
    assert [name for name in found if f"`{name}`" not in connections] == []
