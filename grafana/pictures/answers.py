"""Answers the queries of a dashboard's panels over HTTP, as Grafana's PostgreSQL plugin does."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from grafana.kit.expand import expand

ZONE = ZoneInfo("Africa/Nairobi")
UNITS = {"d": "days", "h": "hours", "m": "minutes"}
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
Rows = list[list[Any]]
Fields = list[dict[str, Any]]


def moment(text: str, now: datetime) -> datetime:
    """The instant of Grafana's now, now-6h, now/d or now-7d/d, or of milliseconds."""
    if text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    found = re.fullmatch(r"now(?:-(\d+)([dhm]))?(/d)?", text)
    if not found:
        raise ValueError(f"a time that is not known here: {text}")
    count, unit, to_day = found.groups()
    time = now.astimezone(ZONE)
    if count:
        time -= timedelta(**{UNITS[unit]: int(count)})
    return (time.replace(hour=0, minute=0, second=0, microsecond=0) if to_day else time).astimezone(
        UTC
    )


def plain(value: object) -> object:
    """A value as Grafana's browser part gets it: times in milliseconds, arrays as text."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, date):
        return plain(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return "{" + ",".join(map(str, value)) + "}"
    return value


def kind(name: str) -> str:
    """The type of a frame's field, from PostgreSQL's name of the type."""
    if name in ("int2", "int4", "int8", "float4", "float8", "numeric"):
        return "number"
    if name in ("timestamptz", "timestamp", "date"):
        return "time"
    return "boolean" if name == "bool" else "string"


def wide(fields: Fields, rows: Rows) -> tuple[Fields, Rows]:
    """One column per text, from rows of time, a text and a number.

    The text `metric` names the column; any other text becomes its label.
    """
    names = [field["name"] for field in fields]
    time = names.index("time")
    texts = [i for i, field in enumerate(fields) if field["type"] == "string"]
    if not texts:
        return fields, rows
    (text,) = texts
    (value,) = set(range(len(names))) - {time, text}
    times = [row[time] for row in rows]
    if times != sorted(times):
        raise ValueError("the rows of a time series are not sorted by time")
    series = sorted({row[text] or "" for row in rows})
    table: dict[int, dict[str, Any]] = {}
    for row in rows:
        table.setdefault(row[time], {})[row[text] or ""] = row[value]
    columns = [
        {"name": s}
        if names[text] == "metric"
        else {"name": names[value], "labels": {names[text]: s}}
        for s in series
    ]
    return (
        [{"name": "Time", "type": "time"}, *(c | {"type": "number"} for c in columns)],
        [[at, *(found.get(s) for s in series)] for at, found in table.items()],
    )


def answer(connection: psycopg.Connection, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the plugin answers: from, to, fields and rows."""
    now = datetime.now(UTC)
    start, end = moment(asked["from"], now), moment(asked["to"], now)
    cursor = connection.execute(expand(asked["sql"], asked["values"], start, end).encode())
    known = psycopg.adapters.types
    fields = [
        {"name": c.name, "type": kind(t.name if (t := known.get(c.type_code)) else "")}
        for c in cursor.description or ()
    ]
    rows = [[plain(value) for value in row] for row in cursor]
    if not rows:
        fields = []
    elif asked["format"] == "time_series":
        fields, rows = wide(fields, rows)
    span = {"from": int(start.timestamp() * 1000), "to": int(end.timestamp() * 1000)}
    return {**span, "fields": fields, "rows": rows}


@contextmanager
def served(database: str, folders: Mapping[str, Path]) -> Iterator[str]:
    """An address that serves files (path prefix -> folder) and answers queries as grafana_ro.

    libpq's variables, such as PGHOST, say where the database is.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet: what fails is shown on the page."""

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            prefix = max((p for p in folders if path.startswith(p)), key=len)
            file = folders[prefix] / path.removeprefix(prefix)
            if file.is_file():
                self._reply(200, TYPES.get(file.suffix[1:], "text/plain"), file.read_bytes())
            else:
                self._reply(404, "text/plain", b"")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                with psycopg.connect(dbname=database) as connection:
                    connection.execute("set role grafana_ro")
                    found = answer(connection, asked)
            except (psycopg.Error, ValueError) as error:
                found = {"error": str(error)}
            self._reply(200, "application/json", json.dumps(found).encode())

        def _reply(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("content-type", content_type)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
