"""Compares a dashboard exported from Grafana with its source, and lists each difference."""

from collections.abc import Iterator
from typing import Any

# Grafana itself changes these keys at every save; they are not edits.
IGNORED_IN_DASHBOARDS = frozenset({"id", "version", "iteration", "annotations"})
IGNORED_IN_PANELS = frozenset({"id", "pluginVersion"})


def changes(source: Any, exported: Any, place: str = "") -> Iterator[str]:
    """Yields a text for each difference: place, value in the source, value in the export."""
    if isinstance(source, dict) and isinstance(exported, dict):
        if "gridPos" in source:
            ignored = IGNORED_IN_PANELS
        else:
            ignored = frozenset() if place else IGNORED_IN_DASHBOARDS
        for key in sorted((source.keys() | exported.keys()) - ignored):
            yield from changes(source.get(key), exported.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(source, list) and isinstance(exported, list):
        names = [{_name(item, n): item for n, item in enumerate(x)} for x in (source, exported)]
        for name in dict.fromkeys([*names[0], *names[1]]):
            yield from changes(names[0].get(name), names[1].get(name), f"{place}[{name}]")
    elif source != exported:
        yield f"{place}\n  source: {_shown(source)}\n  export: {_shown(exported)}"


def _name(item: Any, number: int) -> str:
    """A name for a list element, so that a moved panel is compared with itself."""
    if isinstance(item, dict):
        for key in ("title", "name", "refId", "id"):
            if item.get(key):
                return str(item[key])
        if isinstance(item.get("matcher"), dict):
            return str(item["matcher"].get("options"))
    return str(number)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
