"""Links of table cells: to another dashboard, or to the documentation of a KPI."""

from collections.abc import Iterable

from grafana_foundation_sdk.models.dashboard import DashboardLink, DashboardLinkType


def to_board(title: str, uid: str, *variables: str) -> DashboardLink:
    """A link to another dashboard that keeps the time range; `variables` are name=value."""
    query = "&".join(("${__url_time_range}", *variables))
    return DashboardLink(title=title, url=f"/d/{uid}?{query}", type_val=DashboardLinkType.LINK)


TO_VEHICLE = to_board(
    "Vehicle",
    "vehicle",
    "${city:queryparam}",
    "${cost_centre:queryparam}",
    "var-vehicle=${__data.fields.vehicle_id:percentencode}",
)
# Opens the vehicle with the trip's time range; .numeric gives milliseconds.
TO_TRIP = DashboardLink(
    title="Trip",
    type_val=DashboardLinkType.LINK,
    url="/d/vehicle?from=${__data.fields.start_time.numeric}&to=${__data.fields.end_time.numeric}"
    "&${city:queryparam}&${cost_centre:queryparam}&var-vehicle=${__data.fields.vehicle_id:percentencode}",
)
TO_KPI_PAGE = DashboardLink(
    title="How it is worked out",
    type_val=DashboardLinkType.LINK,
    url="${docs}${__data.fields.docs_path:raw}",
    target_blank=True,
)
TO_MAP = DashboardLink(
    title="Map",
    type_val=DashboardLinkType.LINK,
    url="${__data.fields.map_url:raw}",
    target_blank=True,
)
TO_RUNBOOK = DashboardLink(
    title="What to do",
    type_val=DashboardLinkType.LINK,
    url="/docs/${__data.fields.runbook_path:raw}",
    target_blank=True,
)


def of_rows(columns: Iterable[str]) -> dict[str, DashboardLink]:
    """The links that a row always has: its vehicle's dashboard and its KPI's definition."""
    known = {"vehicle_id": TO_VEHICLE, "label": TO_KPI_PAGE}
    return {column: known[column] for column in columns if column in known}
