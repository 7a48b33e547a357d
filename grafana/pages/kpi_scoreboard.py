"""KPI Scoreboard: what is the value of every KPI, and how is it changing?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import trend
from grafana.kit.links import to_board
from grafana.kit.panels import BANDS, about, kpi_tiles, rows
from grafana.kit.query import BY_PLACE, KPI, SCOPES, select, within

TO_TREND = to_board(
    "Trend of this KPI",
    "kpi-scoreboard",
    "${city:queryparam}",
    "${cost_centre:queryparam}",
    "var-kpi=${__data.fields.kpi_id:percentencode}",
)
THIS_KPI = "kpi_id = ${kpi:sqlstring}"


def kpi_scoreboard() -> Dashboard:
    with_thresholds = kpi_tiles(
        "KPIs with agreed thresholds",
        about("KPIs whose thresholds are agreed, in the colour of their status."),
        select(
            ("label", "value", "unit", "decimals", *BANDS),
            "kpi_scoreboard",
            "status in ('ok', 'warn', 'critical')",
            "day is not null",
            SCOPES,
            order="label",
            limit=40,
        ),
        "No thresholds are agreed yet. The documentation says how to agree on them.",
    )
    all_kpis = rows(
        "Every KPI",
        about("Values of the newest complete day; live KPIs show this moment."),
        "domain label scope_value value unit status trend week_before_value target"
        " kpi_status gate_reason assumed_rules kpi_id docs_path",
        "kpi_scoreboard",
        SCOPES,
        order="domain, label, scope_value",
        limit=1000,
        empty="No complete day yet: KPIs appear after the first build that follows midnight.",
        links={"trend": TO_TREND},
        hidden=["kpi_id", "docs_path"],
    )
    chosen_trend = trend(
        "Trend of the chosen KPI",
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
        "No value in this time range. The table above says why.",
        decimals=2,
        bands=select(BANDS, "kpi_register", THIS_KPI),
    )
    return board(
        "kpi-scoreboard",
        "KPI Scoreboard",
        "What is the value of every KPI, and how is it changing?",
        (*BY_PLACE, KPI),
        [Shelf(6, [with_thresholds]), Shelf(18, [all_kpis]), Shelf(10, [chosen_trend])],
        time_from="now-30d/d",
    )
