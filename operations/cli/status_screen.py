"""Prints the status: a table of jobs, a line per fact, faults in red; or returns it for JSON."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.filesize import decimal

from analyst.values import DASH
from operations.cli.tables import print_facts, print_table, say
from operations.service.status import Status


def print_status(status: Status) -> None:
    """Print the status on one screen."""
    say("The orchestrator runs." if status.is_led else "No orchestrator runs.", style="bold")
    if status.jobs:
        columns = ("job", "state", "last run", "took", "rows", "next")
        print_table(columns, [_job(status, job) for job in status.jobs], right=("took", "rows"))
    else:
        say("No job has run yet: start orchestrate.py run")
    print_facts(_facts(status))
    messages = [f"{job['job']}: {job['message']}" for job in status.jobs if job["message"]]
    failed = status.last_build.failed if status.last_build else []
    for line in (*messages, *failed, *status.faults):
        say(line, style="red")


def status_fields(status: Status) -> dict[str, Any]:
    """Return the status as docs/JSON.md describes it."""
    return {
        "at": status.at,
        "is_led": status.is_led,
        "jobs": status.jobs,
        "newest_fix_at": status.newest_fix,
        "newest_fix_age_s": _age_s(status, status.newest_fix),
        "newest_load_at": status.newest_load,
        "newest_load_age_s": _age_s(status, status.newest_load),
        "token_expires_at": status.token_expires_at,
        "last_build": status.last_build and asdict(status.last_build),
        "spool": status.spool and asdict(status.spool),
        "database_bytes": status.database_bytes,
        "work_bytes": status.work_bytes,
        "free_bytes": status.free_bytes,
        "faults": status.faults,
    }


def _job(status: Status, job: dict[str, Any]) -> tuple[str, ...]:
    state = job["status"]
    if state == "running" and not status.is_led:
        state = "killed"
    if job["failures_in_a_row"] > 1:
        state += f" ({job['failures_in_a_row']} in a row)"
    return (
        job["job"],
        state,
        f"{_span(_age_s(status, job['started_at']))} ago",
        _span(job["duration_s"]),
        DASH if job["rows"] is None else f"{job['rows']:,}",
        _clock(status, job["next_run_at"]) if status.is_led else DASH,
    )


def _facts(status: Status) -> dict[str, str]:
    waiting = "none"
    if status.spool:
        waiting = (
            f"{status.spool.rows:,} pushes wait, the oldest for"
            f" {_span(status.spool.oldest_age_s)}; {decimal(status.spool.bytes)}"
        )
    return {
        "newest fix": _ago(status, status.newest_fix),
        "newest load": _ago(status, status.newest_load),
        "spool": waiting,
        "token": _token(status),
        "last build": _build(status),
        "disk": f"database {decimal(status.database_bytes)}, work folder"
        f" {decimal(status.work_bytes)}, {decimal(status.free_bytes)} free",
    }


def _build(status: Status) -> str:
    build = status.last_build
    if build is None:
        return "none"
    took = _span((build.finished_at - build.started_at).total_seconds())
    counts = f"{build.good_count} good, {build.warned_count} warnings, {len(build.failed)} failed"
    return f"{_ago(status, build.finished_at)}: dbt {build.command}, {counts}, took {took}"


def _token(status: Status) -> str:
    if status.token_expires_at is None:
        return "none yet"
    left_s = -(_age_s(status, status.token_expires_at) or 0)
    return (
        f"valid for another {_span(left_s)}" if left_s > 0 else "expired; the next call renews it"
    )


def _ago(status: Status, instant: datetime | None) -> str:
    if instant is None:
        return "none yet"
    return f"{_span(_age_s(status, instant))} ago ({_clock(status, instant)})"


def _age_s(status: Status, instant: datetime | None) -> float | None:
    return None if instant is None else round((status.at - instant).total_seconds(), 1)


def _clock(status: Status, instant: datetime | None) -> str:
    """Return the time in the fleet's zone, with the date unless it is today."""
    if instant is None:
        return DASH
    local = instant.astimezone(status.zone)
    is_today = local.date() == status.at.astimezone(status.zone).date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%F %H:%M}"


def _span(seconds: Any) -> str:
    """Return a duration in its usual unit: 45 s, 12 min, 3 h, 9 days."""
    if seconds is None:
        return DASH
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{float(seconds) / size:.0f} {unit}"
    return f"{float(seconds) / 86400:.0f} days"
