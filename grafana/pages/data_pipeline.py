"""Data quality & pipeline: can the numbers be trusted, and is everything running?"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.kit.board import Shelf, board
from grafana.kit.charts import trend
from grafana.kit.panels import about, kpi_rows, rows, tiles
from grafana.kit.query import BY_VEHICLE, VEHICLES, select, within
from grafana.pages.noc_live import READINESS

ARRIVAL = "missed_sweeps_count waiting_pushes_count rejected_records_count"
SERVICE = "failing_jobs_count failed_nights_count stale_sources_count"


def _hourly(title: str, text: str, column: str, *where: str) -> Panel:
    return trend(
        title,
        about(text, READINESS),
        select(
            ("hour_start as time", "endpoint as metric", f"{column} as value"),
            "api_calls_hourly",
            within("hour_start"),
            *where,
            order="hour_start, endpoint",
            limit=10000,
        ),
        "none",
        "None in this time range.",
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


def _first() -> list[Shelf]:
    """What has failed, or why data is missing."""
    faults = [
        tiles(
            title,
            about("0 is as it should be; for anything else there is an alert.", READINESS),
            columns,
            "alert_service",
            empty="No measurement yet.",
        )
        for title, columns in (("Does data arrive?", ARRIVAL), ("Does the service run?", SERVICE))
    ]
    jobs = rows(
        "Jobs of the service",
        about("The latest run of each job and when it runs next; failed jobs first.", READINESS),
        "job status started_at next_run_at failures_in_a_row message",
        "job_runs",
        order="failures_in_a_row desc, job",
        empty="The service has not run yet: start it with orchestrate.py run.",
    )
    silent = rows(
        "Devices without a recent position",
        about("The longest without one first; a dash is a device that never sent one.", READINESS),
        "vehicle_id city state gps_time fix_age_s",
        "vehicle_status_now",
        "freshness != 'fresh'",
        *VEHICLES,
        order="fix_age_s desc nulls first, vehicle_id",
        empty="Every device has a recent position.",
    )
    failed = _runs(
        "Failed builds and checks",
        "Tables that could not be built, and checks that found wrong rows.",
        "started_at name status failures message",
        "status in ('error', 'runtime error', 'fail', 'warn')",
        order="started_at desc",
        empty="Nothing failed in this time range.",
    )
    reasons = rows(
        "Records that do not count, and why",
        about("By day of arrival; the most frequent reason of a day first.", READINESS),
        "day_start source reason records_count devices_count",
        "rejection_days",
        within("day_start"),
        "scope = 'fleet'",
        order="day_start desc, records_count desc, source, reason",
        empty="Every record of this time range counts.",
    )
    return [
        Shelf(4, faults),
        Shelf(8, [silent, jobs], (10, 14)),
        Shelf(7, [failed, reasons], (14, 10)),
    ]


def _lists() -> list[Shelf]:
    endpoints = rows(
        "Requests to Tracksolid in the last 7 days",
        about("By kind of request; the largest share of failures first.", READINESS),
        "endpoint last_success_time last_success_age_s calls_count failed_calls_count"
        " failed_calls_pct records_count last_failure",
        "api_endpoints_now",
        order="failed_calls_pct desc, endpoint",
        empty="No request in the last 7 days.",
    )
    slowest = _runs(
        "Tables, slowest to build first",
        "How long each table took to build.",
        "started_at name duration_s rows_affected",
        "resource_type = 'model'",
        order="duration_s desc",
        empty="No build in this time range.",
    )
    ages = _runs(
        "Age of each kind of data",
        "Age of the newest record when it was checked, newest check first.",
        "started_at name status age_s",
        "resource_type = 'source'",
        order="started_at desc, name",
        empty="The age was not checked in this time range.",
    )
    rejected = rows(
        "Rejected records",
        about("Rejected in whole or in part, and why. The originals are kept.", READINESS),
        "fetched_at source imei reason is_kept body",
        "rejections",
        within("fetched_at"),
        order="fetched_at desc",
        empty="No rejected record in this time range.",
    )
    all_kpis = kpi_rows(
        "Readiness and data quality: all KPIs",
        about("The newest day that is over; live KPIs show this moment.", READINESS),
        f"domain = '{READINESS}'",
        live=True,
    )
    return [
        Shelf(9, [endpoints]),
        Shelf(11, [all_kpis, slowest], (14, 10)),
        Shelf(9, [rejected, ages], (14, 10), folded="Rejected records, age of each kind of data"),
    ]


def data_pipeline() -> Dashboard:
    charts = [
        _hourly("Requests per hour", "To Tracksolid, by kind of request.", "calls_count"),
        _hourly(
            "Failed requests per hour",
            "Requests without a valid answer.",
            "failed_calls_count",
            "failed_calls_count > 0",
        ),
        _hourly(
            "Devices that answers left out, per hour",
            "Devices that a request asked for and the answer does not name.",
            "missing_devices_count",
            "missing_devices_count > 0",
        ),
    ]
    return board(
        "data-pipeline",
        "Data quality & pipeline",
        "Can the numbers be trusted, and is everything running?",
        BY_VEHICLE,
        [*_first(), Shelf(9, charts, (10, 7, 7)), *_lists()],
        time_from="now-24h",
    )
