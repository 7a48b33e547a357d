"""All dashboards, and the one form in which they are written and compared."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.query import register
from grafana.pages.daily_operations import daily
from grafana.pages.data_pipeline import pipeline
from grafana.pages.driver_behaviour import behaviour
from grafana.pages.kpi_scoreboard import scoreboard
from grafana.pages.maintenance_fuel import maintenance
from grafana.pages.noc_live import noc
from grafana.pages.vehicle import vehicle
from grafana.pages.zones_dwell import zones

register_default_plugins()
register()

BOARDS: tuple[Callable[[], Dashboard], ...] = (
    noc,
    daily,
    scoreboard,
    vehicle,
    behaviour,
    maintenance,
    zones,
    pipeline,
)


def encoded(dashboard: Dashboard | Mapping[str, Any]) -> dict[str, Any]:
    """A dashboard as the SDK writes it, with every default in it; reading it changes nothing."""
    plain = json.loads(json.dumps(dashboard, cls=JSONEncoder))
    form: dict[str, Any] = json.loads(json.dumps(Dashboard.from_json(plain), cls=JSONEncoder))
    return form
