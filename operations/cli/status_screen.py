"""What a person sees of the status: jobs as a table, the rest as lines, faults in red."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from operations.service.status import Status


def screen(status: Status) -> Iterator[RenderableType]:
    """What a person sees of it, each part a table or a line."""
    yield Text("The orchestrator runs." if status.is_led else "No orchestrator runs.", "bold")
    yield _jobs(status)
    facts = Table(show_header=False, box=None)
    facts.add_row("newest fix", _ago(status, status.newest_fix))
    facts.add_row("newest load", _ago(status, status.newest_load))
    waiting = status.spool and (
        f"{status.spool.rows:,} pushes wait, the oldest for {_span(status.spool.oldest_age_s)};"
        f" {decimal(status.spool.bytes)}"
    )
    facts.add_row("spool", waiting or "none")
    facts.add_row("token", _life(status))
    facts.add_row("last build", _build(status))
    facts.add_row(
        "disk",
        f"database {decimal(status.database_bytes)}, work folder {decimal(status.work_bytes)},"
        f" {decimal(status.free_bytes)} free",
    )
    yield facts
    failed = status.last_build[-1] if status.last_build else []
    for line in (*failed, *status.faults):
        yield Text(line, "red")


def _jobs(status: Status) -> RenderableType:
    if not status.jobs:
        return Text("No job has run yet: start orchestrate.py run")
    table = Table("job", "state", "last run", "took", "rows", "next", "what failed")
    for job in status.jobs:
        state = job["status"]
        if state == "running" and not status.is_led:
            state = "killed"
        again = f" ({job['failures_in_a_row']} in a row)" if job["failures_in_a_row"] > 1 else ""
        table.add_row(
            job["job"],
            Text(state + again, "green" if state in ("ok", "running") else "red"),
            _ago(status, job["started_at"]),
            _span(job["duration_s"]),
            "–" if job["rows"] is None else f"{job['rows']:,}",
            _clock(status, job["next_run_at"]) if status.is_led else "–",
            job["message"] or "",
        )
    return table


def _build(status: Status) -> str:
    if status.last_build is None:
        return "none"
    command, started_at, finished_at, good, warned, failed = status.last_build
    took = _span((finished_at - started_at).total_seconds())
    counts = f"{good} good, {warned} warnings, {len(failed)} failed"
    return f"{_ago(status, finished_at)}: dbt {command.split()[0]}, {counts}, took {took}"


def _life(status: Status) -> str:
    if status.token_expires_at is None:
        return "none yet"
    left_s = (status.token_expires_at - status.at).total_seconds()
    return (
        f"valid for another {_span(left_s)}" if left_s > 0 else "expired; the next call renews it"
    )


def _ago(status: Status, instant: datetime | None) -> str:
    if instant is None:
        return "none yet"
    return f"{_span((status.at - instant).total_seconds())} ago ({_clock(status, instant)})"


def _clock(status: Status, instant: datetime | None) -> str:
    """Fleet time, with the day if it is another one."""
    if instant is None:
        return "–"
    local = instant.astimezone(status.zone)
    is_today = local.date() == status.at.astimezone(status.zone).date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%F %H:%M}"


def _span(seconds: Any) -> str:
    if seconds is None:
        return "–"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{float(seconds) / size:.0f} {unit}"
    return f"{float(seconds) / 86400:.0f} days"
