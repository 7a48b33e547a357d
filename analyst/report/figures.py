"""From values of gold to text that people read: units, separators, and which way is better."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

HOUR_OF_DAY = "hour of day"
SHARES = ("%", "points")  # a difference of shares is told in points
SIGNS = "+\N{MINUS SIGN}"
UNCHANGED = "unchanged"
BLANK = "\N{EN DASH}"
OVER_DAYS = {
    "sum": "sum of {days}",
    "mean": "mean of {days}",
    "max": "highest of {days}",
    "min": "lowest of {days}",
    "last": "last day",
    "jobs": "all jobs of {days}",
}


def number(value: Decimal | float | None, decimals: int = 0, *, signed: bool = False) -> str:
    """1234.5 as 1,234.5; a dash for what is not known."""
    if value is None:
        return BLANK
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")  # nothing is neither more nor less
    return text.replace("-", "\N{MINUS SIGN}")


def shown(value: Decimal | None, definition: dict[str, Any]) -> str:
    """Write a value as the KPI's unit and decimals want it."""
    if value is not None and definition["unit"] == HOUR_OF_DAY:
        return clock(value)
    return number(value, definition["decimals"])


def clock(hours: Decimal) -> str:
    """Hours of a day as a clock shows them: 8.25 is 08:15."""
    minutes = round(hours * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def count(n: int, thing: str) -> str:
    """Spell one day, two days."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def month_name(month: date) -> str:
    return f"{month:%B %Y}"


@dataclass(frozen=True)
class Figure:
    """A KPI of a month at one place: a row of kpi_monthly with its definition."""

    row: dict[str, Any]
    currency: str | None = None

    def __getattr__(self, name: str) -> Any:
        """A column of the row."""
        try:
            return self.row[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def shown_unit(self) -> str:
        unit: str = self.row["unit"]
        return unit.replace("currency", self.currency) if self.currency else unit

    @property
    def shown_value(self) -> str:
        return shown(self.row["value"], self.row)

    @property
    def shown_before(self) -> str:
        return shown(self.row["previous_value"], self.row)

    @property
    def with_unit(self) -> str:
        """The value with its unit, as a sentence wants it."""
        unit = "" if self.row["unit"] == HOUR_OF_DAY else self.shown_unit
        return f"{self.shown_value} {unit}".strip()

    @property
    def how(self) -> str:
        """How its days make the month."""
        return OVER_DAYS[self.row["over_days"]].format(days=count(self.known_days_count, "day"))

    @property
    def shown_change(self) -> str:
        """Against the month before: points for shares, minutes for clocks, else per cent."""
        change, unit, pct = self.row["daily_change"], self.row["unit"], self.row["change_pct"]
        if change is None:
            return BLANK
        if unit == HOUR_OF_DAY:
            amount, of = number(change * 60, signed=True), "min"
        elif unit in SHARES:
            amount, of = number(change, 1, signed=True), "points"
        elif pct is not None:
            amount, of = number(pct, 1, signed=True), "%"
        else:
            amount, of = number(change, self.row["decimals"], signed=True), self.shown_unit
        return f"{amount} {of}" if amount[0] in SIGNS else UNCHANGED

    @property
    def tone(self) -> str:
        """better, worse, or nothing where neither direction is."""
        if self.row["direction"] == "neutral" or self.shown_change in (BLANK, UNCHANGED):
            return ""
        is_higher = self.row["daily_change"] > 0
        return "better" if is_higher == (self.row["direction"] == "higher") else "worse"

    @property
    def has_band(self) -> bool:
        """Whether a value can be good or bad."""
        return self.row["warn_at"] is not None or self.row["critical_at"] is not None

    @property
    def band(self) -> str:
        """Days outside the agreed bands, or that there are none."""
        if not self.has_band:
            return "no band agreed"
        outside = [
            f"{count(self.row[f'{band}_days_count'], 'day')} {word}"
            for band, word in (("critical", "critical"), ("warn", "to watch"))
            if self.row[f"{band}_days_count"]
        ]
        return ", ".join(outside) or "all days good"

    @property
    def status(self) -> str:
        status: str = self.row["kpi_status"]
        return status.replace("_", " ").capitalize()
