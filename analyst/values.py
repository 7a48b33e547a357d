"""Formats values with their units as text: every page and screen uses these functions."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

HOUR_OF_DAY = "hour of day"
DASH = "\N{EN DASH}"  # a value that is not known; never shown as 0
MINUS = "\N{MINUS SIGN}"


def shown(
    value: Decimal | float | None, unit: str, decimals: int | None = None, *, with_unit: bool = True
) -> str:
    """Return a value as text: 1234.5 km as "1,234.5 km", 8.25 hour of day as "08:15".

    `decimals` is the number of digits after the point; None keeps those of the value. If
    `with_unit` is false the unit is left out. None becomes a dash.
    """
    if value is None:
        return DASH
    if unit == HOUR_OF_DAY:
        return clock(value)
    if decimals is None:
        text = f"{Decimal(str(value)).normalize():,f}".replace("-", MINUS)
    else:
        text = number(value, decimals)
    return f"{text} {unit}" if with_unit else text


def number(value: Decimal | float | None, decimals: int = 0, *, signed: bool = False) -> str:
    """Return 1234.5 as "1,234.5", and with `signed` as "+1,234.5"; None as a dash."""
    if value is None:
        return DASH
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")  # zero has no sign
    return text.replace("-", MINUS)


def clock(hours: Decimal | float) -> str:
    """Return hours since midnight as a clock shows them: 8.25 as "08:15"; negative with a sign."""
    minutes = round(abs(float(hours)) * 60)
    sign = MINUS if hours < 0 and minutes else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def cell(value: object, zone: ZoneInfo) -> str:
    """Return any value of a row of gold as text; instants are shown in `zone`."""
    match value:
        case None:
            return DASH
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        case int():
            return f"{value:,}".replace("-", MINUS)
        case Decimal():
            return f"{value:,f}".replace("-", MINUS)
        case _:
            return str(value)
