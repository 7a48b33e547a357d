"""Panels with tables and figures; one function per kind of panel."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.models import stat, table
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    ReduceDataOptions,
    TableFieldOptions,
    VizTextDisplayOptions,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardLink,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    MatcherConfig,
    Panel,
)

from grafana.kit.colours import GREEN, ORANGE, PLAIN, RED
from grafana.kit.columns import BAR, DASH, overrides, steps
from grafana.kit.links import of_rows
from grafana.kit.query import GOLD, SCOPES, Query, select

MIN_WIDTH = 70  # pixels of a table's column; 150 by Grafana's default
# Columns of kpi_register that become thresholds, in ascending order, and their colours.
BANDS = {
    "higher_base": RED,
    "higher_warn": ORANGE,
    "higher_ok": GREEN,
    "lower_base": GREEN,
    "lower_warn": ORANGE,
    "lower_critical": RED,
}


def about(text: str, domain: str | None = None) -> str:
    """A panel description with a link to the KPI page of its domain, or to all KPIs."""
    page = domain.lower().replace(" ", "-") if domain else "overview"
    # Without a target Grafana takes the address for a page of its own and shows a 404.
    link = f'<a href="${{docs}}#!/overview/{page}" target="_blank">'
    return f"{text}\n\n{link}How it is worked out: {domain or 'all KPIs'}</a>"


def panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    options: object,
    empty: str,
    field: FieldConfig | None = None,
) -> Panel:
    """A panel that queries gold. `empty` is shown if there is no row; `kind` is Grafana's type."""
    config = field or FieldConfig()
    config.no_value = empty
    if config.thresholds is None:  # Grafana's own are green below 80 and red from there on
        config.thresholds = steps((None, PLAIN))
    return Panel(
        type_val=kind,
        title=title,
        description=description,
        datasource=GOLD,
        targets=list(queries),
        options=options,
        field_config=FieldConfigSource(defaults=config),
    )


def rows(
    title: str,
    description: str,
    columns: str,
    source: str,
    *where: str,
    order: str,
    empty: str,
    limit: int = 200,
    links: Mapping[str, DashboardLink] | None = None,
    hidden: Sequence[str] = (),
    time_from: str | None = None,
    bars: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
) -> Panel:
    """A table of a gold table's columns (`columns`: their names, separated by spaces).

    A vehicle leads to its dashboard and a KPI to its definition; `links` adds to these.
    `bars` are columns drawn as bars; `titles` replace the usual titles.
    """
    names = columns.split()
    query = Query(select(names, source, *where, order=order, limit=limit))
    plain = FieldConfig(custom=TableFieldOptions(min_width=MIN_WIDTH))
    made = panel("table", title, description, [query], table.Options(), empty, plain)
    assert made.field_config
    made.field_config.overrides = overrides(names, hidden, of_rows(names) | dict(links or {}))
    for name in bars:
        column = made.field_config.overrides[names.index(name)]
        column.properties = [
            *(p for p in column.properties if p.id_val != "custom.width"),
            DynamicConfigValue("custom.cellOptions", BAR),
            DynamicConfigValue("custom.width", 200),
        ]
    for name, text in (titles or {}).items():
        made.field_config.overrides[names.index(name)].properties[0].value = text
    made.time_from = time_from
    return made


def tiles(
    title: str, description: str, columns: str, source: str, *where: str, empty: str
) -> Panel:
    """A large figure per column and row; the figures of a place have its name."""
    names = columns.split()
    query = Query(select(names, source, *where, order=names[0], limit=20))
    plain = FieldConfig(color=FieldColor(FieldColorModeId.THRESHOLDS))
    of_places = "scope_value" in names
    options = figures("" if of_places else "/.*/")  # "": numbers only
    made = panel("stat", title, description, [query], options, empty, plain)
    assert made.field_config
    made.field_config.overrides = overrides(names)
    for column in made.field_config.overrides if of_places else ():
        column.properties[0].value = f"${{__data.fields.scope_value}}: {column.properties[0].value}"
    return made


def kpi_tiles(title: str, description: str, sql: str, empty: str) -> Panel:
    """A large figure per row; columns label, value, unit, decimals and, optionally, BANDS."""
    field = FieldConfig(unit="none", color=FieldColor(FieldColorModeId.THRESHOLDS))
    made = panel("stat", title, description, [Query(sql)], figures(), empty, field)
    names = [("label", "field.name"), ("value", "field.value")]
    mappings: list[object] = [{"fieldName": n, "handlerKey": key} for n, key in names]
    made.transformations = [
        DataTransformerConfig(
            id_val="rowsToFields", options={"mappings": mappings + band_mappings()}
        )
    ]
    assert made.field_config
    # The fields are named by the rows, so their type stands for them.
    made.field_config.overrides = [
        DashboardFieldConfigSourceOverrides(
            matcher=MatcherConfig(id_val="byType", options="number"),
            properties=[DynamicConfigValue("noValue", DASH)],
        )
    ]
    return made


def band_mappings() -> list[object]:
    """Turns the columns BANDS into thresholds in their colours; Grafana skips nulls."""
    return [
        {
            "fieldName": column,
            "handlerKey": "threshold1",
            "handlerArguments": {"threshold": {"color": colour}},
        }
        for column, colour in BANDS.items()
    ]


def figures(fields: str = "/.*/") -> stat.Options:
    """Options of large figures; `fields` is a pattern of names, "" is all numbers."""
    return stat.Options(
        reduce_options=ReduceDataOptions(
            calcs=["lastNotNull"], fields=fields, values=True, limit=60
        ),
        color_mode=BigValueColorMode.BACKGROUND_SOLID,  # a gradient would have less contrast
        graph_mode=BigValueGraphMode.NONE,
        text_mode=BigValueTextMode.VALUE_AND_NAME,
        # By itself Grafana makes the names as small as the longest one needs: illegible.
        text=VizTextDisplayOptions(title_size=13),
    )


def kpi_rows(title: str, description: str, *where: str, live: bool = False) -> Panel:
    """A table of KPIs: value, status, or why there is no value. `live` adds KPIs of this moment."""
    return rows(
        title,
        description,
        "label scope_value value_text status trend gate_reason docs_path",
        "kpi_scoreboard",
        *where,
        *(() if live else ("day is not null",)),
        SCOPES,
        order="register_rank, scope_value",
        empty="No complete day yet: KPIs appear after the first build that follows midnight.",
        hidden=["docs_path"],
    )
