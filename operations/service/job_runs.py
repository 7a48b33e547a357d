"""Records each job's latest run in dwh_gold.job_runs: its start, its outcome, the next run."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from psycopg.rows import dict_row

from warehouse.database import Database
from warehouse.dbt_runner import DbtInterrupted

BEGIN = """
    insert into dwh_gold.job_runs as known (job, status, started_at, next_run_at)
    values (%(job)s, 'running', now(), %(next_run_at)s)
    on conflict (job) do update set
        status = excluded.status,
        started_at = excluded.started_at,
        next_run_at = coalesce(excluded.next_run_at, known.next_run_at),
        finished_at = null
    returning failures_in_a_row
"""
END = """
    update dwh_gold.job_runs set
        status = %(status)s,
        finished_at = now(),
        succeeded_at = case when %(status)s = 'ok' then now() else succeeded_at end,
        duration_s = extract(epoch from now() - started_at),
        rows = %(rows)s,
        message = %(message)s,
        failures_in_a_row = case %(status)s
            when 'ok' then 0 when 'failed' then failures_in_a_row + 1 else failures_in_a_row
        end
    where job = %(job)s
    returning failures_in_a_row
"""
SUCCEEDED = "select job, succeeded_at from dwh_gold.job_runs where succeeded_at is not null"
ALL = "select * from dwh_gold.job_runs order by job"
MESSAGE_CHARACTERS = 2000


class JobRuns:
    """The latest run of each job. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, job: str, next_run_at: datetime | None) -> int:
        """Record that a job started; return how often in a row it has failed so far."""
        return self._write(BEGIN, job=job, next_run_at=next_run_at)

    def succeed(self, job: str, rows: int, note: str | None) -> None:
        """Record a success; `rows` were landed or written, `note` names parts that failed."""
        self._end(job, "ok", rows, note)

    def fail(self, job: str, message: str) -> int:
        """Record a failure; return how often in a row the job has failed now."""
        return self._end(job, "failed", None, message)

    def stop(self, job: str, message: str) -> None:
        """Record that a job was stopped: neither success nor failure; it runs again when due."""
        self._end(job, "stopped", None, message)

    @contextmanager
    def recorded(self, job: str) -> Iterator[None]:
        """Record the block as a run that a person started; its exceptions pass through."""
        self.begin(job, None)
        try:
            yield
        except (KeyboardInterrupt, DbtInterrupted) as error:
            self.stop(job, str(error) or "stopped by hand")
            raise
        except BaseException as error:
            self.fail(job, str(error) or type(error).__name__)
            raise
        self.succeed(job, 0, None)

    def succeeded_at(self) -> dict[str, datetime]:
        """Return the time of each job's latest success."""
        with self._database.connect() as connection:
            return dict(connection.execute(SUCCEEDED).fetchall())

    def all(self) -> list[dict[str, object]]:
        """Return all columns of dwh_gold.job_runs, a row per job that has ever run."""
        with (
            self._database.connect() as connection,
            connection.cursor(row_factory=dict_row) as rows,
        ):
            return rows.execute(ALL).fetchall()

    def _end(self, job: str, status: str, rows: int | None, message: str | None) -> int:
        message = message and message[:MESSAGE_CHARACTERS]
        return self._write(END, job=job, status=status, rows=rows, message=message)

    def _write(self, statement: str, **values: object) -> int:
        with self._database.connect() as connection:
            row = connection.execute(statement.encode(), values).fetchone()
        return int(row[0]) if row else 0
