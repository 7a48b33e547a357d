"""Dashboards as files: their panels, queries and variables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from settings import ROOT

FILES = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FILES}


@dataclass(frozen=True)
class Asked:
    """One query, where it stands and what it has to answer."""

    uid: str
    title: str
    kind: str  # of the panel, or "variable"
    form: str  # table or time_series
    ref_id: str
    sql: str
    panel: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.uid}: {self.title} ({self.ref_id})"


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, those in folded rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def variables(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [v for v in dashboard["templating"]["list"] if v["type"] == "query"]


def asked(uid: str) -> Iterator[Asked]:
    """Every query of a dashboard, variables first."""
    dashboard = DASHBOARDS[uid]
    for variable in variables(dashboard):
        yield Asked(uid, variable["name"], "variable", "table", "A", variable["query"], variable)
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Asked(
                uid,
                panel["title"],
                panel["type"],
                target["format"],
                target["refId"],
                target["rawSql"],
                panel,
            )


ALL = [query for uid in DASHBOARDS for query in asked(uid)]
