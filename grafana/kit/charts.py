"""Panels that draw: time series, state timelines, heat maps and maps."""

from collections.abc import Sequence

from grafana_foundation_sdk.models import geomap, statetimeline, statushistory, timeseries
from grafana_foundation_sdk.models.common import (
    FrameGeometrySource,
    FrameGeometrySourceMode,
    GraphDrawStyle,
    GraphThresholdsStyleConfig,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    MapLayerOptions,
    StackingConfig,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    MatcherConfig,
    Panel,
)

from grafana.kit.colours import CODES, GREY
from grafana.kit.columns import mapping, overrides
from grafana.kit.links import of_rows
from grafana.kit.panels import BANDS, about, band_mappings, panel
from grafana.kit.query import SCOPES, Query, select, within

LEGEND = VizLegendOptions(
    display_mode=LegendDisplayMode.LIST, placement=LegendPlacement.BOTTOM, show_legend=True
)
TOOLTIP = VizTooltipOptions(mode=TooltipDisplayMode.MULTI)


def trend(
    title: str,
    description: str,
    sql: str,
    unit: str,
    empty: str,
    decimals: int = 1,
    bars: bool = False,
    bands: str | None = None,
) -> Panel:
    """Lines or stacked bars over time; columns time, metric, value. `bands`: SQL of thresholds."""
    field = FieldConfig(
        unit=unit,
        decimals=decimals,
        color=FieldColor(FieldColorModeId.PALETTE_CLASSIC),
        custom=timeseries.FieldConfig(
            draw_style=GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE,
            fill_opacity=80 if bars else 10,
            line_width=2,
            show_points=VisibilityMode.AUTO,
            stacking=StackingConfig(mode=StackingMode.NORMAL if bars else StackingMode.NONE),
            thresholds_style=GraphThresholdsStyleConfig(
                mode=GraphThresholdsStyleMode.DASHED if bands else GraphThresholdsStyleMode.OFF
            ),
        ),
    )
    query = Query(sql, form="time_series")
    options = timeseries.Options(legend=LEGEND, tooltip=TOOLTIP)
    made = panel("timeseries", title, description, [query], options, empty, field)
    return configured(made, bands) if bands else made


def configured(made: Panel, sql: str) -> Panel:
    """The panel with the unit, decimals and BANDS that `sql` selects for its figures."""
    made.targets = [*(made.targets or ()), Query(sql, ref_id="B")]
    made.transformations = [
        DataTransformerConfig(
            id_val="configFromData",
            options={
                "configRefId": "B",
                "applyTo": {"id": "byType", "options": "number"},
                "mappings": band_mappings(),
            },
        )
    ]
    return made


def kpi_trend(
    title: str, text: str, domain: str, kpi_id: str, unit: str, decimals: int = 1
) -> Panel:
    """A KPI per day, for the fleet or for the chosen cities and cost centres."""
    return trend(
        title,
        about(text, domain),
        select(
            ("day_start as time", "scope_value as metric", "value"),
            "kpi_values",
            f"kpi_id = '{kpi_id}'",
            SCOPES,
            within("day_start"),
            order="day_start",
        ),
        unit,
        "No data for this time range.",
        decimals,
        bands=select(BANDS, "kpi_register", f"kpi_id = '{kpi_id}'"),
    )


def timeline(title: str, description: str, sql: str, empty: str) -> Panel:
    """A state timeline, one line per vehicle; columns time, metric, state_code."""
    field = FieldConfig(
        unit="none",
        decimals=0,
        mappings=[mapping(CODES)],
        color=FieldColor(FieldColorModeId.FIXED, GREY),
        custom=statetimeline.FieldConfig(fill_opacity=90),
    )
    options = statetimeline.Options(
        show_value=VisibilityMode.AUTO, merge_values=True, legend=LEGEND, tooltip=TOOLTIP
    )
    query = Query(sql, form="time_series")
    return panel("state-timeline", title, description, [query], options, empty, field)


def history(title: str, description: str, sql: str, unit: str, empty: str) -> Panel:
    """A heat map of a percentage per vehicle and day; columns time, metric, value."""
    field = FieldConfig(
        unit=unit,
        decimals=0,
        min_val=0,
        max_val=100,
        color=FieldColor(FieldColorModeId.CONTINUOUS_BLUES),
        custom=statushistory.FieldConfig(fill_opacity=90),
    )
    options = statushistory.Options(
        show_value=VisibilityMode.NEVER, legend=VizLegendOptions(), tooltip=TOOLTIP
    )
    query = Query(sql, form="time_series")
    return panel("status-history", title, description, [query], options, empty, field)


def map_panel(
    title: str,
    description: str,
    queries: Sequence[Query],
    layers: Sequence[MapLayerOptions],
    columns: Sequence[str],
    empty: str,
    view: geomap.MapViewConfig | None = None,
    field: FieldConfig | None = None,
) -> Panel:
    """A map. Each layer draws the rows of one query (its ref_id)."""
    options = geomap.Options(
        view=view or geomap.MapViewConfig(id_val="fit", all_layers=True, padding=20, max_zoom=15),
        controls=geomap.ControlsOptions(show_zoom=True, show_attribution=True, show_scale=True),
        basemap=MapLayerOptions(type_val="default", name="Map", config={}),
        layers=list(layers),
        tooltip=geomap.TooltipOptions(mode=geomap.TooltipMode.DETAILS),
    )
    made = panel("geomap", title, description, queries, options, empty, field)
    assert made.field_config
    made.field_config.overrides = overrides(columns, links=of_rows(columns))
    return made


def markers(
    name: str, colour: str, ref_id: str = "A", rotated: bool = False, size: str | None = None
) -> MapLayerOptions:
    """A map layer of symbols. `colour` and `size` are columns; `rotated` uses heading_deg."""
    symbol = "img/icons/marker/plane.svg" if rotated else "img/icons/marker/circle.svg"
    turn = {"fixed": 0, "max": 360, "min": -360, "mode": "mod"}
    style = {
        "color": {"field": colour, "fixed": GREY},
        "opacity": 0.9,
        "rotation": turn | ({"field": "heading_deg"} if rotated else {}),
        "size": {"fixed": 9 if rotated else 6, "max": 15, "min": 4}
        | ({"field": size} if size else {}),
        "symbol": {"fixed": symbol, "mode": "fixed"},
    }
    return MapLayerOptions(
        type_val="markers",
        name=name,
        tooltip=True,
        location=FrameGeometrySource(
            mode=FrameGeometrySourceMode.COORDS, latitude="latitude", longitude="longitude"
        ),
        filter_data=MatcherConfig(id_val="byRefId", options=ref_id).to_json(),
        config={"showLegend": True, "style": style},
    )
