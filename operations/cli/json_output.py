"""Prints JSON for scripts; docs/JSON.md names every field of every command."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document (docs/JSON.md).")]


def print_json(document: dict[str, Any]) -> None:
    """Print `document`: instants as ISO 8601 with their zone, decimals as numbers.

    Raises TypeError for a value of another type and for an instant without a zone.
    """
    typer.echo(json.dumps(document, default=_plain, indent=2, ensure_ascii=False))


def _plain(value: object) -> object:
    match value:
        case datetime():
            if value.tzinfo is None:
                raise TypeError(f"{value} has no time zone")
            return value.isoformat(timespec="seconds")
        case date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case _:
            raise TypeError(f"{type(value).__name__} cannot be JSON")
