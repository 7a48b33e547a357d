"""KPI Scoreboard: where does every KPI stand, and where does it go?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.kit.board import Shelf, board
from grafana.kit.charts import trend
from grafana.kit.links import TO_KPI_PAGE, to_board
from grafana.kit.panels import BANDS, about, kpi_tiles, rows
from grafana.kit.query import BY_PLACE, KPI, SCOPES, select, within

TO_TREND = to_board(
    "Its trend",
    "kpi-scoreboard",
    "${city:queryparam}",
    "${cost_centre:queryparam}",
    "var-kpi=${__data.fields.kpi_id:percentencode}",
)
THIS_KPI = "kpi_id = ${kpi:sqlstring}"


def scoreboard() -> Dashboard:
    banded = kpi_tiles(
        "KPIs with a band",
        about("Those whose bands the client has agreed to, in their colours."),
        select(
            ("label", "value", "unit", "decimals", *BANDS),
            "kpi_scoreboard",
            "standing in ('ok', 'warn', 'critical')",
            "day is not null",
            SCOPES,
            order="label",
            limit=40,
        ),
        "No KPI has a band yet: the client agrees on them, see the documentation.",
    )
    every = rows(
        "Every KPI",
        about("The newest day that is over, or this moment for what is live."),
        "domain label scope_value value unit standing trend week_before_value target"
        " kpi_status gate_reason assumed_rules kpi_id docs_path",
        "kpi_scoreboard",
        SCOPES,
        order="domain, label, scope_value",
        limit=1000,
        empty="No day is over yet: KPIs appear with the first build.",
        links={"label": TO_KPI_PAGE, "trend": TO_TREND},
        hidden=["kpi_id", "docs_path"],
    )
    course = trend(
        "Trend of the chosen KPI",
        about("Day by day, with the bands of the register."),
        select(
            ("day_start as time", "scope_value as metric", "value"),
            "kpi_values",
            THIS_KPI,
            SCOPES,
            within("day_start"),
            order="day_start",
        ),
        "none",
        "No value in this time range: the table above says why.",
        decimals=2,
        bands=select(BANDS, "kpi_register", THIS_KPI),
    )
    return board(
        "kpi-scoreboard",
        "KPI Scoreboard",
        "Where does every KPI stand, and where does it go?",
        (*BY_PLACE, KPI),
        [Shelf(6, [banded]), Shelf(18, [every]), Shelf(10, [course])],
        time_from="now-30d/d",
    )
