"""Writes each run of dbt to dwh_gold.dbt_run_history: a row per node, also if the run failed."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import structlog

from warehouse.database import Database

log = structlog.get_logger()

ARTIFACTS = {"build": "run_results.json", "run": "run_results.json", "source": "sources.json"}
BAD = ("error", "fail", "runtime error")
MESSAGE_CHARACTERS = 2000
INSERT = """
    insert into dwh_gold.dbt_run_history (
        run_id, command, started_at, finished_at, node, resource_type, name, status,
        duration_s, rows_affected, failures, message, age_s
    )
    values (
        %(run_id)s, %(command)s, %(started_at)s, %(finished_at)s, %(node)s, %(resource_type)s,
        %(name)s, %(status)s, %(duration_s)s, %(rows_affected)s, %(failures)s, %(message)s,
        %(age_s)s
    )
"""
WRITTEN = """
    select coalesce(sum(rows_affected), 0) from dwh_gold.dbt_run_history where started_at >= %s
"""
FAILED = """
    select
        case
            when resource_type = 'invocation' then split_part(message, e'\n', 1)
            else resource_type || ' ' || name
        end
    from dwh_gold.dbt_run_history
    where started_at >= %s and status = any(%s)
    order by finished_at, name
"""


@contextmanager
def recorded(database: Database, target: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Append the results of the dbt run in this block, if its command is one of ARTIFACTS.

    If the history cannot be written, that is only logged: the run itself matters more.
    """
    if arguments[0] not in ARTIFACTS:
        yield
        return
    artifact = target / ARTIFACTS[arguments[0]]
    artifact.unlink(missing_ok=True)  # else a run that dies early would leave an older result
    began, failure = datetime.now(UTC), None
    try:
        yield
    except Exception as error:
        failure = str(error)
        raise
    finally:
        rows = _rows(artifact, " ".join(arguments), began, failure)
        try:
            with database.connect() as connection, connection.cursor() as cursor:
                cursor.executemany(INSERT.encode(), rows)
        except psycopg.Error as error:
            log.warning("this run of dbt is not in dbt_run_history", reason=str(error))


def rows_written(database: Database, since: datetime) -> int:
    """Return the number of rows that dbt wrote in runs that began at `since` or later."""
    with database.connect() as connection:
        row = connection.execute(WRITTEN, [since]).fetchone()
    assert row is not None
    return int(row[0])


def failed_nodes(database: Database, since: datetime) -> list[str]:
    """Return kind and name of each node that failed in runs since then, the first failure first.

    A run that failed before its first node has the first line of its message instead.
    """
    with database.connect() as connection:
        return [text for (text,) in connection.execute(FAILED, [since, list(BAD)])]


def _rows(
    artifact: Path, command: str, began: datetime, failure: str | None
) -> list[dict[str, object]]:
    content = json.loads(artifact.read_text()) if artifact.exists() else {}
    results: list[dict[str, Any]] = content.get("results", [])
    run = {
        "run_id": content.get("metadata", {}).get("invocation_id", str(uuid4())),
        "command": command,
    }
    rows = [run | _row(result, began) for result in results]
    if failure and not any(result["status"] in BAD for result in results):
        # The run was stopped, or failed before its first node.
        now = datetime.now(UTC)
        whole = {
            "unique_id": "invocation.dbt",
            "status": "error",
            "message": failure,
            "execution_time": (now - began).total_seconds(),
            "timing": [{"started_at": began.isoformat(), "completed_at": now.isoformat()}],
        }
        rows.append(run | _row(whole, began))
    return rows


def _row(result: dict[str, Any], began: datetime) -> dict[str, object]:
    node: str = result["unique_id"]
    timing = result.get("timing", [])
    message = result.get("message") or result.get("error")
    response = result.get("adapter_response", {})
    kind = node.partition(".")[0]
    return {
        "started_at": min((step["started_at"] for step in timing), default=began),
        "finished_at": max((step["completed_at"] for step in timing), default=began),
        "node": node,
        "resource_type": kind,
        "name": _name(node),
        "status": result["status"],
        "duration_s": result.get("execution_time"),
        "rows_affected": None if kind == "source" else response.get("rows_affected"),
        "failures": result.get("failures"),
        "message": message and message[:MESSAGE_CHARACTERS],
        "age_s": result.get("max_loaded_at_time_ago_in_s"),
    }


def _name(node: str) -> str:
    """Return a node's short name: model.p.trips as trips, source.p.raw.jobs as raw.jobs."""
    kind, *parts = node.split(".")
    match kind:
        case "source":
            return ".".join(parts[1:])
        case "test":
            return parts[1]
        case _:
            return parts[-1]
