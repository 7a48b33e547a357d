"""Runs dbt in a subprocess: one command at a time per database, with that database's settings."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType

from settings import ROOT, Settings
from warehouse import archived_files, dbt_process, run_history
from warehouse.database import DBT_ROLE, Database

PROJECT = ROOT / "dbt_fireside"
# A build with one of these options does not build all models.
SELECTING = {"-s", "--select", "-m", "--models", "--exclude", "--selector", "--resource-type"}
FULL_REFRESH = {"--full-refresh", "-f", "DBT_FULL_REFRESH", "DBT_ENGINE_FULL_REFRESH"}
BUILDING = {"build", "run"}
# Words that may ask for a full refresh in another spelling.
HINT = re.compile(r"retry|-\w+|-.*full.refresh.*")
OFF = {"", "0", "f", "false", "n", "no", "off"}
SESSIONS = "fireside dbt"  # name of dbt's sessions; macros/claims.sql knows it
ORPHANS = """
    select pg_terminate_backend(pid, 10000) from pg_stat_activity
    where datname = current_database() and application_name = %s
"""


class DbtFailed(Exception):
    """dbt stopped with an error. The text holds the last lines that dbt printed."""


class DbtInterrupted(DbtFailed):
    """dbt stopped because it was asked to. Models that were being built are rolled back."""


def environment(settings: Settings, database: Database) -> dict[str, str]:
    """Return the environment of a tool that uses dbt: plain dbt, sqlfluff's dbt templater.

    Its artifacts have a folder of their own, where no build of the product reads them.
    """
    artifacts = str(target(settings, database) / "tools")
    return _environment(database) | {"DBT_TARGET_PATH": artifacts, "DBT_LOG_PATH": artifacts}


def _own(settings: Settings, database: Database) -> dict[str, str]:
    """Return the environment of a dbt that this process starts; it names dbt's sessions."""
    artifacts = str(target(settings, database))
    return _environment(database) | {
        "DBT_TARGET_PATH": artifacts,
        "DBT_LOG_PATH": artifacts,
        "PGAPPNAME": SESSIONS,
    }


def _environment(database: Database) -> dict[str, str]:
    return (
        # dbt's default logs every statement, which costs a tenth of a build that changes nothing.
        {"DBT_LOG_LEVEL_FILE": "info"}
        | os.environ
        | database.acting_as(DBT_ROLE).environment()
        | {
            "DBT_PROJECT_DIR": str(PROJECT),
            "DBT_PROFILES_DIR": str(PROJECT),
            "DBT_ROLE": "",  # the sessions have it already, or may not have it
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
    )


def target(settings: Settings, database: Database) -> Path:
    """Return the folder of dbt's artifacts: one per database, as partial parsing requires."""
    return settings.work_dir / "dbt" / database.name


def state(settings: Settings, database: Database) -> Path:
    """Return the folder with the manifest.json of the last full build, the one gold comes from."""
    return target(settings, database) / "state"


def run(
    settings: Settings,
    database: Database,
    arguments: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run `dbt ARGUMENTS` under the dbt lock.

    With `progress` dbt prints nothing, and `progress` is called with (step, steps in all). A build,
    a run or a freshness check is appended to dwh_gold.dbt_run_history. Raises DbtFailed if dbt
    fails, or for a full refresh while rows of raw are archived.
    """
    with alone(database):
        _refuse_full_refresh(settings, database, arguments)
        with run_history.recorded(database, target(settings, database), arguments):
            execute(settings, database, arguments, progress)
            if arguments[0] == "build" and not SELECTING & {a.split("=")[0] for a in arguments}:
                state(settings, database).mkdir(exist_ok=True)
                shutil.copy(target(settings, database) / "manifest.json", state(settings, database))


def _refuse_full_refresh(settings: Settings, database: Database, arguments: Sequence[str]) -> None:
    """Raise DbtFailed if a full refresh would rebuild tables from an incomplete raw.

    dbt knows more spellings (-xf, a variable, retry). For a word that may be one, and for a build,
    which computes rows again if a rule has changed, only files of an older release are listed here;
    then macros/full_refresh.sql refuses, and macros/claims.sql keeps the rows.
    """
    variables = {name for name in FULL_REFRESH if os.environ.get(name, "").lower() not in OFF}
    is_spelled_out = bool(FULL_REFRESH & {*arguments, *variables})
    is_hinted = any(HINT.fullmatch(word) for word in arguments)
    if not is_spelled_out and not is_hinted and arguments[0] not in BUILDING:
        return
    with database.connect() as connection:
        if not is_spelled_out:
            archived_files.list_older_files(settings, connection)
        elif reason := archived_files.reason_against_full_refresh(settings, connection):
            raise DbtFailed(reason)


def execute(
    settings: Settings,
    database: Database,
    arguments: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run `dbt ARGUMENTS` with these dbt variables; the caller holds `alone`.

    `progress` is as in `run`. Raises DbtFailed if dbt fails.
    """
    known = {
        "fleet_timezone": settings.fleet_timezone,
        "chunk_days": settings.chunk_days,
        **variables,
    }
    words = [*arguments, "--vars", json.dumps(known)]
    with dbt_process.opened(_own(settings, database)) as process:
        printed, is_done = dbt_process.run_command(process, words, progress)
        was_interrupted = dbt_process.was_interrupted(process)
    if is_done:
        return
    if was_interrupted:
        raise DbtInterrupted(f"dbt {' '.join(arguments)} was stopped")
    tail = "\n".join(line for line in printed if line.strip())[-4000:]
    is_killed = process.returncode is not None and process.returncode < 0
    how = f"was killed by signal {-process.returncode}" if is_killed else "failed"
    raise DbtFailed(f"dbt {' '.join(arguments)} {how}\n{tail}".rstrip())


def in_one_process(settings: Settings, database: Database) -> AbstractContextManager[None]:
    """Let the dbt commands of a block share a process."""
    return dbt_process.shared(_own(settings, database))


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Hold the dbt lock: wait until no other build or archive works on this database."""
    with database.connect() as connection:
        connection.execute("select pg_advisory_lock(hashtext('fireside dbt'))")
        # The lock was free, so these sessions belong to a dbt whose parent was killed.
        connection.execute(ORPHANS, [SESSIONS])
        yield
