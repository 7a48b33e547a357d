"""Expands variables, then macros, in a query as Grafana's PostgreSQL plugin does before sending."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

# Variable name -> chosen values; None means all values.
Values = Mapping[str, Sequence[str] | None]

VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
INTERVAL = "1m"


def expand(sql: str, values: Values, start: datetime, end: datetime) -> str:
    """The SQL for these variable values and this time range (timezone-aware datetimes).

    Raises ValueError for an unknown variable, format or macro.
    """

    def variable(match: re.Match[str]) -> str:
        name, form = match.groups()
        if name in built_in:
            return built_in[name]
        if form != "sqlstring":
            raise ValueError(
                f"${{{name}}} lacks :sqlstring: a quote in a value would break the SQL"
            )
        if name not in values:
            raise ValueError(f"no variable {name}; known are {', '.join(sorted(values))}")
        return sql_strings(values[name])

    first, last = (f"'{moment.isoformat().replace('+00:00', 'Z')}'" for moment in (start, end))
    built_in = {
        "__interval": INTERVAL,
        "__interval_ms": "60000",
        "__from": str(int(start.timestamp() * 1000)),
        "__to": str(int(end.timestamp() * 1000)),
    }
    text = VARIABLE.sub(variable, sql)
    for name in sorted(built_in, key=len, reverse=True):
        text = text.replace(f"${name}", built_in[name])
    text = re.sub(r"\$__timeFilter\(([^)]+)\)", rf"\1 BETWEEN {first} AND {last}", text)
    text = text.replace("$__timeFrom()", first).replace("$__timeTo()", last)
    text = re.sub(r"\$__timeGroup(Alias)?\(([^,)]+),\s*'?(\d+)([smhd])'?\)", _group, text)
    if "$" in text:
        raise ValueError(f"unknown macro: {text[text.index('$') :].split()[0]}")
    return text


def sql_strings(values: Sequence[str] | None) -> str:
    """The values as Grafana's :sqlstring format writes them; '__all' for None."""
    if values is None:
        return "'__all'"
    return ",".join("'" + value.replace("'", "''") + "'" for value in values)


def _group(match: re.Match[str]) -> str:
    alias, column, count, unit = match.groups()
    width = int(count) * SECONDS[unit]
    group = f"floor(extract(epoch from {column})/{width})*{width}"
    return f'{group} AS "time"' if alias else group
