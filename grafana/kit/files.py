"""Reads the generated dashboards: their panels, queries and variables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from settings import ROOT

FILES = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FILES}


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel or of a variable, and where it is."""

    uid: str
    title: str
    kind: str  # the panel's type, or "variable"
    form: str  # table or time_series
    ref_id: str
    sql: str
    panel: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.uid}: {self.title} ({self.ref_id})"


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, including those in folded rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def variables(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """The variables whose values come from a query."""
    return [v for v in dashboard["templating"]["list"] if v["type"] == "query"]


def queries(uid: str) -> Iterator[PanelQuery]:
    """Every query of a dashboard, variables first."""
    dashboard = DASHBOARDS[uid]
    for variable in variables(dashboard):
        yield PanelQuery(
            uid, variable["name"], "variable", "table", "A", variable["query"], variable
        )
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield PanelQuery(
                uid,
                panel["title"],
                panel["type"],
                target["format"],
                target["refId"],
                target["rawSql"],
                panel,
            )


ALL_QUERIES = [query for uid in DASHBOARDS for query in queries(uid)]
