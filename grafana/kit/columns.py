"""A column's title, unit, decimals and colours, from its name; long, as it lists the names."""

from collections.abc import Iterable, Mapping

from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeValueMode,
    TableBarGaugeCellOptions,
    TableCellBackgroundDisplayMode,
    TableColoredBackgroundCellOptions,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardLink,
    DashboardRegexMapOptions,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    MatcherConfig,
    RegexMap,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from grafana.kit.colours import (
    COLOURED,
    COUNTS,
    FAULTS,
    GREEN,
    PLAIN,
    VIOLATIONS,
    WARNING_FLAGS,
    YES_NO,
    Looks,
)

# Addresses: the cell shows the word, and its link opens the address.
ADDRESSES = {"map_url": "map", "runbook_path": "what to do"}

# Ending of a column name -> (Grafana's unit, decimals). The first match wins. None of these units
# scales: Grafana's own lengthkm turns 126,000 km into 126 Mm, and h turns 81 h into 3.4 days.
UNITS: Mapping[str, tuple[str, int | None]] = {
    "_km": ("suffix:km", 1),
    "_kmh": ("velocitykmh", 0),
    "_pct": ("percent", 1),
    "_per_100km": ("none", 2),
    "_count": ("none", 0),
    "_min": ("suffix:min", 1),
    "_s": ("dtdhms", 0),
    "_h": ("suffix:h", 1),
    "_v": ("suffix:V", 1),
    "_l": ("suffix:l", 1),
    "_deg": ("degree", 0),
    "_code": ("none", 0),
    "_rank": ("none", 0),
    "_day": ("time:YYYY-MM-DD", None),
    "_time": ("time:YYYY-MM-DD HH:mm", None),
    "_at": ("time:YYYY-MM-DD HH:mm", None),
    "_start": ("time:YYYY-MM-DD HH:mm", None),
    "as_of": ("time:YYYY-MM-DD HH:mm", None),
}
UNITS_BY_NAME: Mapping[str, tuple[str, int | None]] = {
    "day_start": ("time:YYYY-MM-DD", None),
    "score": ("none", 1),
    "days_to_service": ("suffix:d", 0),
    "km_to_service": ("suffix:km", 0),
    "odometer_km": ("suffix:km", 0),
    "value": ("none", 2),
    "week_before_value": ("none", 2),
    "weekday_before_value": ("none", 2),
    "target": ("none", 2),
    "bytes": ("bytes", 0),
    "latitude": ("none", 4),
    "longitude": ("none", 4),
    **dict.fromkeys(("rows", "rows_affected", "failures", "failures_in_a_row"), ("none", 0)),
    "pushes_waiting": ("none", 0),
}
TITLES = {
    "activation_time": "Activated",
    "after_hours_km": "Distance after hours",
    "alarm_name": "Alarm",
    "alert_name": "Alert",
    "alarm_time": "Time",
    "assumed_rules": "Rules not agreed yet",
    "avg_speed_kmh": "Average speed",
    "battery_pct": "Device battery",
    "bytes": "Size",
    "day_start": "Day",
    "departure_time": "Departed",
    "depot_departures_count": "Departures",
    "depot_returns_count": "Returns",
    "driver_name": "Driver",
    "dwell_h": "Hours there",
    "dwell_s": "Stay",
    "endpoint": "Kind of request",
    "entry_time": "Arrived",
    "exit_time": "Left or last seen",
    "external_voltage_v": "Vehicle battery",
    "failed_calls_pct": "Share failed",
    "failures": "Rows that failed",
    "fetched_at": "Arrived",
    "fix_age_s": "Age of position",
    "gate_reason": "Reason if empty",
    "gps_time": "Newest position",
    "harsh_driving_alarms_per_100km": "Harsh alarms per 100 km",
    "has_left": "Has left",
    "imei": "IMEI",
    "is_continued": "From the day before",
    "is_kept": "Rest kept",
    "job_id": "Job",
    "kpi_status": "Definition",
    "label": "KPI",
    "is_outside_city": "Outside its city",
    "last_success_age_s": "Since last success",
    "late_min": "Late by",
    "max_speed_kmh": "Highest speed",
    "map_url": "Place",
    "min_battery_pct": "Device battery",
    "min_external_voltage_v": "Vehicle battery",
    "name": "Table or check",
    "return_time": "Returned",
    "rows_affected": "Rows changed",
    "p95_duration_s": "95th percentile",
    "resource_type": "Type",
    "runbook_path": "Runbook",
    "scope_value": "Place",
    "score": "Score of 100",
    "service_day": "Next service",
    "service_status": "Service",
    "shift_start_time": "Shift starts",
    "sla_target_min": "Target",
    "speed_code": "Motion",
    "speeding_min": "Time above limit",
    "succeeded_at": "Last success",
    "target_text": "Target",
    "value_text": "Value",
    "vehicle_class": "Class",
    "vehicle_id": "Vehicle",
    "vehicle_model": "Model",
    "vehicle_number": "Plate",
    "week_before_text": "One week earlier",
    "week_before_value": "One week earlier",
    "weekday_before_value": "One week earlier",
    "worst_over_limit_kmh": "Most above limit",
    "worst_rank": "Rank",
    "zone_name": "Zone",
    "zone_visits_count": "Visits",
}
# Pixels for short texts; Grafana would give every column 150 and let the table scroll sideways.
WIDTHS = {
    "alert_name": 170,
    **dict.fromkeys(("value_text", "week_before_text", "target_text"), 130),
    "imei": 145,
    "map_url": 60,
    "runbook_path": 90,
    "city": 95,
    "domain": 200,
    "status": 95,
    "severity": 80,
    "state": 110,
    "fix_age_s": 125,
    "name": 270,
    "scope_value": 95,
    "service_status": 95,
    "unit": 100,
    "vehicle_class": 100,
    "vehicle_id": 140,
    "trend": 125,
}
# Long texts, which run over several lines instead of being cut.
LONG_TEXTS = {
    *("gate_reason", "assumed_rules", "message", "last_failure", "reason"),
    *("alarm_name", "driver_name", "address", "zone_name", "label", "scope_value"),
}
DASH = "–"
# As text: a number in the colour of the bar would have too little contrast.
BAR = TableBarGaugeCellOptions(
    mode=BarGaugeDisplayMode.BASIC, value_display_mode=BarGaugeValueMode.TEXT
)
# Columns shown as a bar in the cell, 0 to 100.
BAR_COLUMNS = {"utilisation_pct", "score", "min_battery_pct"}


def unit_of(column: str) -> tuple[str, int | None] | None:
    """A column's Grafana unit and decimals; None for text columns."""
    if column in UNITS_BY_NAME:
        return UNITS_BY_NAME[column]
    return next((unit for end, unit in UNITS.items() if column.endswith(end)), None)


def width_of(column: str) -> int | None:
    """A column's width in pixels; None for text columns, which share what is left."""
    if column in WIDTHS:
        width = WIDTHS[column]
    elif column.startswith(("is_", "has_")):
        width = 60
    elif unit := unit_of(column):
        width = 145 if unit[0].endswith("HH:mm") else 90
    else:
        return None
    # A title may run over several lines, but not a word of it.
    return max(width, 9 * max(map(len, title_of(column).split())) + 16)


def title_of(column: str) -> str:
    """The column's title in panels: distance_km -> Distance."""
    if column in TITLES:
        return TITLES[column]
    if look := (COUNTS | VIOLATIONS | FAULTS).get(column):
        return look[0].capitalize()
    stem = column.removeprefix("is_").removeprefix("has_")
    for end in ("_time", "_at", *UNITS):
        if stem.endswith(end) and end.startswith("_") and end != "_rank":
            stem = stem.removesuffix(end)
            break
    return stem.replace("_", " ").capitalize()


def overrides(
    columns: Iterable[str],
    hidden: Iterable[str] = (),
    links: Mapping[str, DashboardLink] | None = None,
) -> list[DashboardFieldConfigSourceOverrides]:
    """Grafana overrides for each column: title, unit, decimals, colours, link, hidden or not."""
    return [
        DashboardFieldConfigSourceOverrides(
            matcher=MatcherConfig(id_val="byName", options=column),
            properties=list(_properties(column, set(hidden), links or {})),
        )
        for column in columns
    ]


def _properties(
    column: str, hidden: set[str], links: Mapping[str, DashboardLink]
) -> Iterable[DynamicConfigValue]:
    yield DynamicConfigValue("displayName", title_of(column))
    # Otherwise Grafana prints the panel's text for "no rows" in each empty cell.
    yield DynamicConfigValue("noValue", DASH)
    if width := width_of(column):
        yield DynamicConfigValue("custom.width", width)
    if unit := unit_of(column):
        yield DynamicConfigValue("unit", unit[0])
        if unit[1] is not None:
            yield DynamicConfigValue("decimals", unit[1])
    yield from _colours(column)
    yield DynamicConfigValue("custom.wrapHeaderText", True)
    if column in ADDRESSES:
        word = ValueMappingResult(text=ADDRESSES[column], index=0)
        options = DashboardRegexMapOptions(pattern=".+", result=word)
        yield DynamicConfigValue("mappings", [RegexMap(options=options)])
    if column in LONG_TEXTS:
        yield DynamicConfigValue("custom.wrapText", True)
    if column in BAR_COLUMNS:
        yield DynamicConfigValue("custom.cellOptions", BAR)
        yield DynamicConfigValue("min", 0)
        yield DynamicConfigValue("max", 100)
    if column in hidden:
        yield DynamicConfigValue("custom.hideFrom.viz", True)
    if column in links:
        yield DynamicConfigValue("links", [links[column]])


def _colours(column: str) -> Iterable[DynamicConfigValue]:
    """Colours and words for the values of a column that has a meaning."""
    if column in COUNTS:
        yield DynamicConfigValue("color", FieldColor(FieldColorModeId.FIXED, COUNTS[column][1]))
    for looks, without in ((VIOLATIONS, PLAIN), (FAULTS, GREEN)):
        if column in looks:
            yield DynamicConfigValue("thresholds", steps((None, without), (1, looks[column][1])))
    words = COLOURED.get(column, YES_NO if column.startswith(("is_", "has_")) else None)
    if words:
        yield DynamicConfigValue("mappings", [mapping(words)])
        if words is not YES_NO or column in WARNING_FLAGS:
            cell = TableColoredBackgroundCellOptions(mode=TableCellBackgroundDisplayMode.BASIC)
            yield DynamicConfigValue("custom.cellOptions", cell)


def mapping(looks: Looks) -> ValueMap:
    """A Grafana value mapping from {value: (text, colour)}."""
    return ValueMap(
        options={
            value: ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(looks.items())
        }
    )


def steps(*bounds: tuple[float | None, str]) -> ThresholdsConfig:
    """Thresholds from (lower bound, colour), ascending; the first bound is None."""
    return ThresholdsConfig(
        mode=ThresholdsMode.ABSOLUTE,
        steps=[Threshold(value=value, color=colour) for value, colour in bounds],
    )
