"""Queries of dashboards: selects from gold, filters by variables, and the variables."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from grafana_foundation_sdk.cog.runtime import DataqueryConfig, register_dataquery_variant
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import (
    VariableHide,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableType,
)

PLUGIN = "grafana-postgresql-datasource"
GOLD = DataSourceRef(type_val=PLUGIN, uid="gold")
# Address of the documentation; panels link to the pages of their KPIs.
DOCS = "/docs/index.html"


class Query(Dataquery):
    """A query of the PostgreSQL data source; the SDK has no class for it."""

    def __init__(self, sql: str, *, ref_id: str = "A", form: str = "table") -> None:
        self.ref_id, self.form, self.sql = ref_id, form, sql

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": GOLD,
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.sql,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["rawSql"], ref_id=data["refId"], form=data["format"])


def register() -> None:
    """Register Query with the SDK, so that it can read dashboards back."""
    register_dataquery_variant(DataqueryConfig(PLUGIN, Query.from_json))


def select(
    columns: Iterable[str],
    table: str,
    *where: str,
    order: str | None = None,
    limit: int | None = None,
) -> str:
    """SQL that selects columns from a table of gold; panels may ask nothing more."""
    lines = [f"select {', '.join(columns)}", f"from dwh_gold.{table}"]
    if where:
        lines.append("where " + "\n  and ".join(where))
    if order:
        lines.append(f"order by {order}")
    if limit:
        lines.append(f"limit {limit}")
    return "\n".join(lines)


def within(column: str) -> str:
    """Condition: the column is in the dashboard's time range."""
    return f"$__timeFilter({column})"


def over() -> str:
    """Condition: the day is over. Until 03:00 EAT yesterday is left out as well, because the
    nightly build computes it again."""
    return "day < current_date"


def chosen(column: str, variable: str) -> str:
    """Condition: the column is one of the chosen values; false for all rows if none is chosen."""
    return f"{column} in (${{{variable}:sqlstring}})"


def any_of(column: str, variable: str) -> str:
    """Condition: as chosen(), but true if All is chosen; PostgreSQL decides that when planning."""
    return f"('__all' in (${{{variable}:sqlstring}}) or {chosen(column, variable)})"


PLACES = (any_of("city", "city"), any_of("cost_centre", "cost_centre"))
VEHICLES = (*PLACES, any_of("vehicle_id", "vehicle"))
# The fleet's row if nothing is chosen, otherwise the chosen cities and cost centres.
SCOPES = (
    "(scope = 'fleet' and '__all' in (${city:sqlstring}) and '__all' in (${cost_centre:sqlstring})"
    f"\n    or scope = 'city' and {chosen('scope_value', 'city')}"
    f"\n    or scope = 'cost_centre' and {chosen('scope_value', 'cost_centre')})"
)

# Each list has a value for "none": an empty list would break Grafana's All.
CITIES = "select city from dwh_gold.dim_vehicles union select 'Unassigned' order by 1"
COST_CENTRES = (
    f"select cost_centre from dwh_gold.dim_vehicles where {PLACES[0]}"
    " union select 'Unassigned' order by 1"
)
VEHICLE_IDS = (
    f"select vehicle_id from dwh_gold.dim_vehicles where {' and '.join(PLACES)}"
    " union select '(none)' order by 1"
)
DRIVERS = (
    "select scope_value from dwh_gold.driver_behaviour_ranking"
    f" where scope = 'driver' and {' and '.join(PLACES)} union select '(none)' order by 1"
)
KPIS = "select kpi_id as __value, label as __text from dwh_gold.kpi_register order by 2"


def many_of(name: str, label: str, sql: str) -> VariableModel:
    """A variable that allows many values; All is the default."""
    return VariableModel(
        type_val=VariableType.QUERY,
        name=name,
        label=label,
        datasource=GOLD,
        query=sql,
        refresh=VariableRefresh.ON_TIME_RANGE_CHANGED,
        multi=True,
        include_all=True,
        all_value="'__all'",  # Grafana inserts it without quoting
        current=VariableOption(text=["All"], value=["$__all"]),
    )


def one_of(name: str, label: str, sql: str, text: str, value: str) -> VariableModel:
    """A variable that allows one value; `text` and `value` are its default."""
    return VariableModel(
        type_val=VariableType.QUERY,
        name=name,
        label=label,
        datasource=GOLD,
        query=sql,
        refresh=VariableRefresh.ON_DASHBOARD_LOAD,
        current=VariableOption(text=text, value=value),
    )


def docs() -> VariableModel:
    """A hidden variable with the address of the documentation."""
    return VariableModel(
        type_val=VariableType.CONSTANT,
        name="docs",
        query=DOCS,
        hide=VariableHide.HIDE_VARIABLE,
        skip_url_sync=True,
        current=VariableOption(text=DOCS, value=DOCS),
    )


CITY = many_of("city", "City", CITIES)
COST_CENTRE = many_of("cost_centre", "Cost centre", COST_CENTRES)
VEHICLE = many_of("vehicle", "Vehicle", VEHICLE_IDS)
DRIVER = many_of("driver", "Driver", DRIVERS)
ONE_VEHICLE = one_of(
    "vehicle",
    "Vehicle",
    # A vehicle, the first one, is chosen when the dashboard is opened without one.
    f"select vehicle_id from ({VEHICLE_IDS.removesuffix(' order by 1')}) as known"
    " order by vehicle_id = '(none)', vehicle_id",
    "",
    "",
)
KPI = one_of("kpi", "KPI", KPIS, "Utilisation rate", "fleet.utilisation")
BY_PLACE: Sequence[VariableModel] = (CITY, COST_CENTRE)
BY_VEHICLE: Sequence[VariableModel] = (CITY, COST_CENTRE, VEHICLE)


def carried(variables: Sequence[VariableModel]) -> Sequence[VariableModel]:
    """The variables, with a hidden one for the vehicle if there is none.

    Grafana passes the variables of one dashboard on to the next; without this one, a chosen
    vehicle would be lost on the way through a dashboard that has no use for it.
    """
    if any(variable.name == VEHICLE.name for variable in variables):
        return variables
    unused = many_of("vehicle", "Vehicle", VEHICLE_IDS)
    unused.hide = VariableHide.HIDE_VARIABLE
    return [*variables, unused]
