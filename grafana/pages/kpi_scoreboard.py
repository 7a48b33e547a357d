"""KPI Scoreboard: what is the value of every KPI, and how is it changing?"""

from grafana_foundation_sdk.models.common import BigValueGraphMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    Panel,
    VariableHide,
    VariableModel,
)

from grafana.kit.board import Shelf, board
from grafana.kit.charts import configured, trend
from grafana.kit.links import to_board
from grafana.kit.panels import BANDS, about, figures, panel, rows
from grafana.kit.query import BY_PLACE, KPI, SCOPES, Query, chosen, many_of, select, within

TO_TREND = to_board(
    "Trend of this KPI",
    "kpi-scoreboard",
    "${city:queryparam}",
    "${cost_centre:queryparam}",
    "var-kpi=${__data.fields.kpi_id:percentencode}",
)
THIS_KPI = "kpi_id = ${kpi:sqlstring}"
# The unit, decimals and bands of a KPI, which Grafana applies to its figures.
LOOKS = ("display_unit as unit", "decimals", *BANDS)


def headlines() -> VariableModel:
    """A hidden variable with the headline KPIs: there is one tile for each."""
    variable = many_of(
        "headline",
        "Headline KPI",
        "select kpi_id as __value, label as __text from dwh_gold.kpi_register"
        " where headline_rank is not null order by headline_rank",
    )
    variable.hide = VariableHide.HIDE_VARIABLE
    return variable


def headline_tile() -> Panel:
    """A tile of a headline KPI: its newest day with its trend, and the month to date."""
    this = chosen("kpi_id", "headline")
    queries = [
        Query(
            select(
                ("day_start as time", "scope_value as place", 'value as "Last day,"'),
                "kpi_values",
                this,
                SCOPES,
                within("day_start"),
                order="day_start",
            ),
            form="time_series",
        ),
        Query(
            select(
                ("month_start as time", "scope_value as place", 'value as "Month to date,"'),
                "kpi_monthly",
                this,
                SCOPES,
                "month_start <= $__timeTo()",  # the tile shows the newest month
                order="month_start",
            ),
            ref_id="C",
            form="time_series",
        ),
    ]
    options = figures("")
    options.graph_mode = BigValueGraphMode.LINE
    options.reduce_options.values = False
    options.orientation = VizOrientation.HORIZONTAL  # one below the other
    field = FieldConfig(
        unit="none",
        color=FieldColor(FieldColorModeId.THRESHOLDS),
        field_min_max=True,  # otherwise the sum of the month would flatten the line of the days
    )
    made = panel(
        "stat",
        "${headline}",
        about("The newest complete day with its trend, and the month to date."),
        queries,
        options,
        "No value yet.",
        field,
    )
    made.repeat, made.repeat_direction, made.max_per_row = "headline", "h", 8
    return configured(made, select(LOOKS, "kpi_register", this))


def kpi_scoreboard() -> Dashboard:
    all_kpis = rows(
        "Every KPI",
        about(
            "Values of the newest complete day; live KPIs show this moment. Click a trend to see"
            " it in the chart above, and a name to read how it is worked out."
        ),
        "domain label scope_value value_text status trend week_before_text target_text"
        " gate_reason assumed_rules kpi_id docs_path",
        "kpi_scoreboard",
        SCOPES,
        order="register_rank, scope_value",
        limit=1000,
        empty="No complete day yet: KPIs appear after the first build that follows midnight.",
        links={"trend": TO_TREND},
        hidden=["kpi_id", "docs_path"],
    )
    chosen_trend = trend(
        "Trend: ${kpi}",
        about("The KPI chosen above, per day; dashed lines are its thresholds."),
        select(
            ("day_start as time", "scope_value as metric", "value"),
            "kpi_values",
            THIS_KPI,
            SCOPES,
            within("day_start"),
            order="day_start",
        ),
        "none",
        "No value in this time range. The table below says why.",
        bands=select(LOOKS, "kpi_register", THIS_KPI),
    )
    return board(
        "kpi-scoreboard",
        "KPI Scoreboard",
        "What is the value of every KPI, and how is it changing?",
        (*BY_PLACE, KPI, headlines()),
        [Shelf(8, [headline_tile()]), Shelf(8, [chosen_trend]), Shelf(24, [all_kpis])],
        time_from="now-30d/d",
    )
