"""Data quality & pipeline: can the numbers be trusted, and does everything run?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import trend
from grafana.kit.links import TO_VEHICLE
from grafana.kit.panels import about, kpi_rows, rows, tiles
from grafana.kit.query import BY_PLACE, PLACES, select, within
from grafana.pages.noc_live import READINESS

RUN = "started_at name resource_type status duration_s rows_affected failures message"


def _hourly(title: str, text: str, column: str, unit: str = "none") -> Panel:
    return trend(
        title,
        about(text, READINESS),
        select(
            ("hour_start as time", "endpoint as metric", f"{column} as value"),
            "api_calls_hourly",
            within("hour_start"),
            order="hour_start, endpoint",
            limit=10000,
        ),
        unit,
        "No call in this time range.",
        decimals=0,
        bars=True,
    )


def _runs(title: str, text: str, columns: str, *where: str, order: str, empty: str) -> Panel:
    return rows(
        title,
        about(text, READINESS),
        columns,
        "dbt_run_history",
        within("started_at"),
        *where,
        order=order,
        empty=empty,
        limit=100,
    )


def pipeline() -> Dashboard:
    jobs = rows(
        "Jobs of the orchestrator",
        about("The latest run of each job and the next one.", READINESS),
        "job status started_at succeeded_at next_run_at duration_s rows failures_in_a_row message",
        "job_runs",
        order="status != 'failed', job",
        empty="The orchestrator has not run yet: orchestrate.py run.",
    )
    spool = tiles(
        "Spool of pushes",
        about("What the webhook holds until it is drained to the database.", READINESS),
        "pushes_waiting oldest_waiting_at bytes measured_at",
        "spool_status",
        empty="The drain has not run yet.",
    )
    endpoints = rows(
        "Endpoints",
        about("What was asked in the last 7 days, and what it last said.", READINESS),
        "endpoint last_success_time last_success_age_s calls_count failed_calls_count"
        " failed_calls_pct records_count last_failure",
        "api_endpoints_now",
        order="failed_calls_pct desc, endpoint",
        empty="No call in the last 7 days.",
    )
    silent = rows(
        "Devices that are silent",
        about("Their newest fix is too old, or there never was one.", READINESS),
        "vehicle_id imei city cost_centre state gps_time fix_age_s",
        "vehicle_status_now",
        "freshness != 'fresh'",
        *PLACES,
        order="fix_age_s desc nulls first, vehicle_id",
        empty="Every device is fresh.",
        links={"vehicle_id": TO_VEHICLE},
    )
    rejected = rows(
        "Records that could not be believed",
        about("Kept in raw; a rest that could be read is used.", READINESS),
        "fetched_at source imei reason is_kept body",
        "rejections",
        within("fetched_at"),
        order="fetched_at desc",
        empty="None in this time range.",
    )
    return board(
        "data-pipeline",
        "Data quality & pipeline",
        "Can the numbers be trusted, and does everything run?",
        BY_PLACE,
        [
            Shelf(5, [spool]),
            Shelf(8, [jobs]),
            Shelf(8, [endpoints]),
            Shelf(
                8,
                [
                    _hourly("Calls", "Calls of the API by the hour.", "calls_count"),
                    _hourly("Failed calls", "Without a good answer.", "failed_calls_count"),
                    _hourly("Devices left out", "Asked minus answered.", "missing_devices_count"),
                    _hourly("Loads", "Loads that brought the answers.", "loads_count"),
                ],
            ),
            Shelf(
                9,
                [
                    _runs(
                        "Failed models and tests",
                        "What dbt could not build, and tests that do not hold.",
                        RUN,
                        "status in ('error', 'runtime error', 'fail', 'warn')",
                        order="started_at desc",
                        empty="Nothing failed in this time range.",
                    ),
                    _runs(
                        "Results of tests",
                        "Every test of the time range, newest first.",
                        "started_at name status failures duration_s",
                        "resource_type in ('test', 'unit_test')",
                        order="started_at desc, name",
                        empty="No test ran in this time range.",
                    ),
                ],
            ),
            Shelf(
                9,
                [
                    _runs(
                        "Models, slowest first",
                        "How long dbt took for each.",
                        "started_at name status duration_s rows_affected command",
                        "resource_type = 'model'",
                        order="duration_s desc",
                        empty="No build in this time range.",
                    ),
                    _runs(
                        "Freshness of sources",
                        "Age of the newest record of each raw table.",
                        "started_at name status age_s message",
                        "resource_type = 'source'",
                        order="started_at desc, name",
                        empty="Freshness was not measured in this time range.",
                    ),
                ],
            ),
            Shelf(9, [silent, rejected]),
            Shelf(
                12,
                [
                    kpi_rows(
                        "Readiness and data quality: all KPIs",
                        about("The newest day that is over, or this moment.", READINESS),
                        f"domain = '{READINESS}'",
                        live=True,
                    )
                ],
            ),
        ],
        time_from="now-24h",
    )
