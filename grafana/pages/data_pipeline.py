"""Data quality & pipeline: can the numbers be trusted, and is everything running?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import trend
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
        "No API call in this time range.",
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


def data_pipeline() -> Dashboard:
    jobs = rows(
        "Orchestrator jobs",
        about("The latest run of each job and when it runs next; failed jobs first.", READINESS),
        "job status started_at succeeded_at next_run_at duration_s rows failures_in_a_row message",
        "job_runs",
        order="status != 'failed', job",
        empty="The orchestrator has not run yet: start it with orchestrate.py run.",
    )
    spool = tiles(
        "Push spool",
        about(
            "Pushes that the webhook has received and that are not in the database yet.", READINESS
        ),
        "pushes_waiting oldest_waiting_at bytes measured_at",
        "spool_status",
        empty="No measurement yet.",
    )
    endpoints = rows(
        "Endpoints",
        about("API calls of the last 7 days per endpoint, and the latest failure.", READINESS),
        "endpoint last_success_time last_success_age_s calls_count failed_calls_count"
        " failed_calls_pct records_count last_failure",
        "api_endpoints_now",
        order="failed_calls_pct desc, endpoint",
        empty="No API call in the last 7 days.",
    )
    silent = rows(
        "Silent devices",
        about(
            "Devices whose newest position is too old, or that never sent one; oldest first.",
            READINESS,
        ),
        "vehicle_id imei city state gps_time fix_age_s",
        "vehicle_status_now",
        "freshness != 'fresh'",
        *PLACES,
        order="fix_age_s desc nulls first, vehicle_id",
        empty="Every device has a recent position.",
    )
    reasons = rows(
        "What did not count, and why",
        about("Rejected records by day of arrival and reason; most frequent first.", READINESS),
        "day_start source reason is_kept records_count devices_count",
        "rejection_days",
        within("day_start"),
        "scope = 'fleet'",
        order="day_start desc, records_count desc, source, reason",
        empty="Every record of this time range counts.",
    )
    rejected = rows(
        "Rejected records",
        about(
            "Records that were rejected in whole or in part, and why. The originals are kept.",
            READINESS,
        ),
        "fetched_at source imei reason is_kept body",
        "rejections",
        within("fetched_at"),
        order="fetched_at desc",
        empty="No rejected record in this time range.",
    )
    return board(
        "data-pipeline",
        "Data quality & pipeline",
        "Can the numbers be trusted, and is everything running?",
        BY_PLACE,
        [
            Shelf(5, [spool]),
            Shelf(8, [jobs]),
            Shelf(8, [endpoints]),
            Shelf(
                8,
                [
                    _hourly("API calls", "API calls per hour.", "calls_count"),
                    _hourly(
                        "Failed API calls", "Calls without a valid answer.", "failed_calls_count"
                    ),
                    _hourly(
                        "Missing devices",
                        "Devices that a call asked for and the answer left out.",
                        "missing_devices_count",
                    ),
                    _hourly(
                        "Stored batches",
                        "Batches of answers stored in the database.",
                        "loads_count",
                    ),
                ],
            ),
            Shelf(
                9,
                [
                    _runs(
                        "Failed models and tests",
                        "Models that dbt could not build, and tests that failed.",
                        RUN,
                        "status in ('error', 'runtime error', 'fail', 'warn')",
                        order="started_at desc",
                        empty="Nothing failed in this time range.",
                    ),
                    _runs(
                        "Test results",
                        "Every test run in the time range, newest first.",
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
                        "How long dbt took to build each model.",
                        "started_at name status duration_s rows_affected command",
                        "resource_type = 'model'",
                        order="duration_s desc",
                        empty="No build in this time range.",
                    ),
                    _runs(
                        "Source freshness",
                        "Age of the newest record of each kind of data.",
                        "started_at name status age_s message",
                        "resource_type = 'source'",
                        order="started_at desc, name",
                        empty="Freshness was not checked in this time range.",
                    ),
                ],
            ),
            Shelf(9, [silent, reasons]),
            Shelf(9, [rejected]),
            Shelf(
                12,
                [
                    kpi_rows(
                        "Readiness and data quality: all KPIs",
                        about(
                            "Values of the newest complete day; live KPIs show this moment.",
                            READINESS,
                        ),
                        f"domain = '{READINESS}'",
                        live=True,
                    )
                ],
            ),
        ],
        time_from="now-24h",
    )
