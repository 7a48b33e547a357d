"""From a panel to its SQL: the template with random values of the variables and a time range."""

import os
import random
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from grafana.kit.expand import Values, expand
from grafana.kit.files import DASHBOARDS, PanelQuery

VEHICLES = int(os.environ.get("VEHICLES", "10000"))
NAIROBI = ZoneInfo("Africa/Nairobi")


def values(chance: random.Random) -> Values:
    """Random values of the variables: vehicles of the chosen places, or all."""
    vehicles = [chance.randrange(VEHICLES) for _ in range(chance.choice([0, 1, 1, 3]))]

    def values_of(name: str, count: int) -> list[str] | None:
        chosen = vehicles or [chance.randrange(count)]
        return chance.choice([None, sorted({name % (n % count) for n in chosen})])

    return {
        "city": values_of("City %d", 3),
        "cost_centre": values_of("Team %d", 10),
        "vehicle": [f"V{n}" for n in vehicles] or None,
        "driver": values_of("Driver %d", VEHICLES),
        "map_city": [f"City {chance.randrange(3)}"],  # one panel each
        "headline": ["fleet.utilisation"],
        "kpi": [chance.choice(["fleet.utilisation", "driver.score", "fuel.volume"])],
    }


def time_range(query: PanelQuery) -> tuple[datetime, datetime]:
    """The time range with which the dashboard, or the panel, opens."""
    text = query.panel.get("timeFrom") or DASHBOARDS[query.uid]["time"]["from"]
    found = re.fullmatch(r"now(?:-(\d+)([hd]))?(/d)?", text)
    assert found, text
    end = datetime.now(NAIROBI)
    start = end - timedelta(hours=int(found[1] or 0) * {"h": 1, "d": 24, None: 0}[found[2]])
    if found[3]:
        start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return start.astimezone(UTC), end.astimezone(UTC)


def sql_of(query: PanelQuery, chance: random.Random) -> bytes:
    """The SQL of a panel, as Grafana would send it."""
    return expand(query.sql, values(chance), *time_range(query)).encode()
