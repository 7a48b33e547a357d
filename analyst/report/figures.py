"""Shows a KPI of a month as text: value, change, band, better or worse."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from analyst.values import DASH, HOUR_OF_DAY, MINUS, number, shown

SHARES = ("%", "points")  # the difference of two shares is in points
SIGNS = "+" + MINUS
UNCHANGED = "unchanged"
MONTH_ROLLUPS = {
    "sum": "sum of {days}",
    "mean": "mean of {days}",
    "max": "highest of {days}",
    "min": "lowest of {days}",
    "last": "last day",
    "ratio": "ratio of the sums over {days}",
}


def count(n: int, thing: str) -> str:
    """Return number and noun: "1 day", "2 days"."""
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

    def _shown(self, value: Decimal | None) -> str:
        return shown(value, self.row["unit"], self.row["decimals"], with_unit=False)

    @property
    def shown_unit(self) -> str:
        unit: str = self.row["unit"]
        return unit.replace("currency", self.currency) if self.currency else unit

    @property
    def shown_value(self) -> str:
        return self._shown(self.row["value"])

    @property
    def shown_before(self) -> str:
        return self._shown(self.row["previous_value"])

    @property
    def with_unit(self) -> str:
        """The value with its unit, for a sentence."""
        if self.row["unit"] == HOUR_OF_DAY:
            return self.shown_value
        return f"{self.shown_value} {self.shown_unit}"

    @property
    def how(self) -> str:
        """How the days are combined into the month: "sum of 30 days"."""
        return MONTH_ROLLUPS[self.row["month_rollup"]].format(
            days=count(self.known_days_count, "day")
        )

    @property
    def shown_change(self) -> str:
        """Change against the month before: points for shares, minutes for times of day, else %."""
        change, unit, pct = self.row["daily_change"], self.row["unit"], self.row["change_pct"]
        if change is None:
            return DASH
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
        """ "better", "worse", or "" if nothing changed or no direction is better."""
        if self.row["direction"] == "neutral" or self.shown_change in (DASH, UNCHANGED):
            return ""
        is_higher = self.row["daily_change"] > 0
        return "better" if is_higher == (self.row["direction"] == "higher") else "worse"

    @property
    def has_band(self) -> bool:
        """True if a band is agreed, so that a value can be good or bad."""
        return self.row["warn_at"] is not None or self.row["critical_at"] is not None

    @property
    def band(self) -> str:
        """How many days were outside the agreed bands, in words."""
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
