"""The list of all dashboards, and the normal form in which they are written and compared."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.query import register
from grafana.pages.daily_operations import daily_operations
from grafana.pages.data_pipeline import data_pipeline
from grafana.pages.driver_behaviour import driver_behaviour
from grafana.pages.kpi_scoreboard import kpi_scoreboard
from grafana.pages.maintenance_fuel import maintenance_fuel
from grafana.pages.noc_live import noc_live
from grafana.pages.vehicle import vehicle
from grafana.pages.zones_dwell import zones_dwell

register_default_plugins()
register()

BOARDS: tuple[Callable[[], Dashboard], ...] = (
    noc_live,
    daily_operations,
    kpi_scoreboard,
    vehicle,
    driver_behaviour,
    maintenance_fuel,
    zones_dwell,
    data_pipeline,
)


def encoded(dashboard: Dashboard | Mapping[str, Any]) -> dict[str, Any]:
    """A dashboard as plain JSON types with all defaults filled in, so that two can be compared."""
    plain = json.loads(json.dumps(dashboard, cls=JSONEncoder))
    normal_form: dict[str, Any] = json.loads(
        json.dumps(Dashboard.from_json(plain), cls=JSONEncoder), object_hook=_without_placement
    )
    return normal_form


def _without_placement(found: dict[str, Any]) -> dict[str, Any]:
    """Links without the placement that the SDK always writes: Grafana would show no such link."""
    return {k: v for k, v in found.items() if k != "placement" or "targetBlank" not in found}
