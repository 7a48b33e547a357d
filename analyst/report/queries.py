"""Reads one month of dwh_gold for the management report, for the fleet or one city."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from analyst.report.figures import Figure, month_name
from settings import settings

GoldRow = dict[str, Any]

CITIES = "select distinct scope_value from dwh_gold.kpi_values where scope = 'city' order by 1"
FIGURES = """
    select *
    from dwh_gold.kpi_monthly
    inner join dwh_gold.kpi_register using (kpi_id)
    where month = %(month)s and scope = %(scope)s and scope_value = %(place)s
        and kpi_status <> 'retired'
    order by domain, label
"""
IN_MONTH = """
    day >= %(month)s and day < %(month)s + interval '1 month'
    and day_start + interval '1 day' <= now()
"""
IN_CITY = "(%(city)s::text is null or city = %(city)s)"
CURRENCIES = f"""
    select distinct currency
    from dwh_gold.kpi_fuel_cost_daily
    where scope = %(scope)s and scope_value = %(place)s and currency is not null and {IN_MONTH}
"""
# A city without any value of a KPI would only be a name in the legend: it is left out.
PER_DAY = f"""
    select * from (
        select kpi_id, scope_value, day, value,
            count(value) over (partition by kpi_id, scope_value) as known_days_count
        from dwh_gold.kpi_values
        where scope = 'city' and (%(city)s::text is null or scope_value = %(city)s)
            and kpi_id = any(%(kpi_ids)s) and {IN_MONTH}
    ) as days
    where known_days_count > 0
    order by kpi_id, scope_value, day
"""
ALARMS = f"""
    select coalesce(alarm_name, 'Type ' || alarm_type) as alarm_name, count(*) as alarms_count
    from dwh_gold.fact_alarms
    where {IN_CITY} and {IN_MONTH}
    group by 1
    order by 2 desc, 1
    limit 12
"""
VEHICLES = f"""
    select * from dwh_gold.vehicle_months
    where month = %(month)s and {IN_CITY}
    order by reported_days_count, vehicle_id
"""
ASSUMED = """
    select rule, city, rules.value, rules.unit, source,
        string_agg(label, ', ' order by label) as labels
    from dwh_gold.kpi_rules as rules
    inner join dwh_gold.kpi_register using (kpi_id)
    where not is_agreed and (%(city)s::text is null or city in ('All cities', %(city)s))
    group by 1, 2, 3, 4, 5
    order by value is null, rule, city
"""
ASSUMED_ZONES = f"""
    select name, kind, city from dwh_gold.dim_zones
    where is_assumed and {IN_CITY}
    order by kind, name
"""
PROPOSALS = """
    select *
    from dwh_gold.kpi_band_proposals
    inner join dwh_gold.kpi_register using (kpi_id)
    where scope = %(scope)s and scope_value = %(place)s
    order by domain, label
"""
DATA_AS_OF = f"select max(data_as_of) from dwh_gold.fact_daily_fleet_metrics where {IN_MONTH}"


class NoData(Exception):
    """Gold has no finished day of the month. The text says which months it has."""


class UnknownCity(ValueError):
    """Gold has no KPI of this city. The text names the cities that it has."""


class Gold:
    """The rows of gold for the month that begins on `month`. Raises UnknownCity."""

    def __init__(self, connection: psycopg.Connection, month: date, city: str | None) -> None:
        self._connection = connection
        self._month = month
        self.city = None if city is None else self._spelled(city)
        self._given = {
            "month": month,
            "scope": "city" if self.city else "fleet",
            "place": self.city or "Fleet",
            "city": self.city,
        }

    def figures(self) -> list[Figure]:
        """Return every KPI with its definition, by domain and label. Raises NoData."""
        rows = self._rows(FIGURES)
        if not rows:
            raise NoData(self._nothing())
        currencies = [row["currency"] for row in self._rows(CURRENCIES)]
        currency = currencies[0] if len(currencies) == 1 else None
        return [Figure(row, currency) for row in rows]

    def per_day(self, kpi_ids: list[str]) -> list[GoldRow]:
        """Return the values of these KPIs per finished day and city."""
        return self._rows(PER_DAY, kpi_ids=kpi_ids)

    def alarms(self) -> list[GoldRow]:
        """Return the most frequent types of alarm with their numbers."""
        return self._rows(ALARMS)

    def vehicles(self) -> list[GoldRow]:
        """Return the month of each vehicle; vehicles that reported least come first."""
        return self._rows(VEHICLES)

    def assumed(self) -> list[GoldRow]:
        """Return the rules that are not agreed, with the KPIs that use them."""
        return self._rows(ASSUMED)

    def assumed_zones(self) -> list[GoldRow]:
        """Return the zones whose shape is not agreed."""
        return self._rows(ASSUMED_ZONES)

    def proposals(self) -> list[GoldRow]:
        """Return the bands that the last 30 days of the data suggest."""
        return self._rows(PROPOSALS)

    def data_as_of(self) -> datetime | None:
        """Return when the newest data of the month arrived, in the fleet's zone."""
        newest: datetime | None = self._rows(DATA_AS_OF)[0]["max"]
        return newest and newest.astimezone(ZoneInfo(settings().fleet_timezone))

    def _rows(self, query: str, **more: object) -> list[GoldRow]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), self._given | more).fetchall()

    def _spelled(self, city: str) -> str:
        known = [str(name) for (name,) in self._connection.execute(CITIES.encode())]
        for name in known:
            if name.casefold() == city.casefold():
                return name
        raise UnknownCity(f"no KPI of the city {city!r}; cities: {', '.join(known) or 'none'}")

    def _nothing(self) -> str:
        months = "select min(month) as first, max(month) as last from dwh_gold.kpi_monthly"
        span = self._rows(months)[0]
        if span["first"] is None:
            return "no KPI of any finished day is in the database; load and build it first"
        place = f" for {self.city}" if self.city else ""
        months_known = dict.fromkeys(month_name(span[end]) for end in ("first", "last"))
        return (
            f"no finished day of {month_name(self._month)}{place} is in the database; it holds "
            f"{' to '.join(months_known)}: ask for that, or backfill and build the other month"
        )
