"""What an export of Grafana's editor changes against the source, place by place."""

from collections.abc import Iterator
from typing import Any

# Grafana counts saves, numbers panels and lists its own annotations; none of it is an edit.
OF_DASHBOARDS = frozenset({"id", "version", "iteration", "annotations"})
OF_PANELS = frozenset({"id", "pluginVersion"})


def changes(source: Any, exported: Any, place: str = "") -> Iterator[str]:
    """A line for each difference: where, what the source says, what the export says."""
    if isinstance(source, dict) and isinstance(exported, dict):
        own = OF_PANELS if "gridPos" in source else frozenset() if place else OF_DASHBOARDS
        for key in sorted((source.keys() | exported.keys()) - own):
            yield from changes(source.get(key), exported.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(source, list) and isinstance(exported, list):
        names = [{_name(item, n): item for n, item in enumerate(x)} for x in (source, exported)]
        for name in dict.fromkeys([*names[0], *names[1]]):
            yield from changes(names[0].get(name), names[1].get(name), f"{place}[{name}]")
    elif source != exported:
        yield f"{place}\n  source: {_shown(source)}\n  export: {_shown(exported)}"


def _name(item: Any, number: int) -> str:
    """What people know an element of a list by; the order of panels is in their places."""
    if isinstance(item, dict):
        for key in ("title", "name", "refId", "id"):
            if item.get(key):
                return str(item[key])
        if isinstance(item.get("matcher"), dict):
            return str(item["matcher"].get("options"))
    return str(number)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
