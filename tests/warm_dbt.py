"""dbt for tests, without its two waits: the import of dbt, and the first parse of the project.

The product starts dbt as a program. Here it is forked from a process that has imported dbt, and
in a new database it begins with the parse that one worker of this run has made. The tests of the
command line and of the service start real programs, and so the real dbt.
"""

import hashlib
import json
import multiprocessing
import os
import pprint
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import forked
import pytest
from shared import Shared

from settings import Settings
from warehouse import dbt_commands, dbt_process, dbt_runner
from warehouse.database import Database

# A name as long as those of all databases of tests: what dbt keeps knows the length of a text.
PARSED_FOR = "test_000000000000"
PARSE = "partial_parse.msgpack"
PROGRAM = dbt_process.PROGRAM
real_process = dbt_process._started


class Forked:
    """As much of subprocess.Popen as dbt_process.py uses, for a dbt that is imported already."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        commands, ours = multiprocessing.Pipe(duplex=False)
        answers, theirs = multiprocessing.Pipe(duplex=False)
        ends = (commands, theirs, ours, answers)
        self._process = forked.fork(_run_dbt, environment, *ends)
        self.stdin = open(os.dup(ours.fileno()), "w")  # noqa: PTH123, SIM115
        self.stdout = open(os.dup(answers.fileno()))  # noqa: PTH123, SIM115
        for end in ends:
            end.close()

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stdin.close()
        self.wait()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int | None:
        self._process.join()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        forked.send_signal(self._process, number)


def _run_dbt(commands: Connection, answers: Connection, *parents: Connection) -> None:
    """What a forked process does: become what dbt_process.py would have started."""
    forked.redirect(commands.fileno(), answers.fileno(), answers.fileno())
    # The parent's ends too: a copy of the one it writes to would keep our stdin open.
    for end in (commands, answers, *parents):
        end.close()
    dbt_commands.main()


def profile_hash(environment: Mapping[str, str]) -> str:
    """What dbt compares to know whether its last parse was for the same connection."""
    from dbt.adapters.postgres.connections import PostgresCredentials

    credentials = PostgresCredentials(
        host=environment["PGHOST"],
        port=int(environment["PGPORT"]),
        user=environment["PGUSER"],
        password=environment["PGPASSWORD"],
        database=environment["PGDATABASE"],
        role=environment["DBT_ROLE"],
        schema="tracksolid",
        application_name=environment.get("PGAPPNAME", "dbt"),
    )
    text = pprint.pformat(sorted(credentials.connection_info()))
    return hashlib.sha256(text.encode()).hexdigest()


def parsed(shared: Shared) -> Path:
    """The folder with what dbt makes of the project, the same for all workers."""
    target = shared.folder / "dbt"

    def parse() -> str:
        database = Database(f"postgresql://postgres:postgres@127.0.0.1:5432/{PARSED_FOR}")
        environment = os.environ | database.environment() | {
            "DBT_PROJECT_DIR": str(dbt_runner.PROJECT),
            "DBT_PROFILES_DIR": str(dbt_runner.PROJECT),
            "DBT_ROLE": "",
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }  # fmt: skip
        settings = Settings()
        known = {"fleet_timezone": settings.fleet_timezone, "chunk_days": settings.chunk_days}
        with Forked(environment) as process:
            words = ["parse", "--vars", json.dumps(known)]
            said, is_done = dbt_process.run_command(process, words, lambda *_: None)
        assert is_done, "\n".join(said)
        return profile_hash(environment)

    shared.once("parse", parse)
    return target


def give_parse(shared: Shared, environment: Mapping[str, str]) -> None:
    """Put the shared parse where the dbt of this environment will look for its last one."""
    target = Path(environment["DBT_TARGET_PATH"])
    if (target / PARSE).exists() or len(environment["PGDATABASE"]) != len(PARSED_FOR):
        return
    kept = (parsed(shared) / PARSE).read_bytes()
    changes = {
        (shared.folder / "parse.made").read_text(): profile_hash(environment),
        PARSED_FOR: environment["PGDATABASE"],
    }
    for old, new in changes.items():
        kept = kept.replace(old.encode(), new.encode())
    target.mkdir(parents=True, exist_ok=True)
    (target / PARSE).write_bytes(kept)


@contextmanager
def installed(shared: Shared) -> Iterator[None]:
    """Let all dbt commands of this process run so."""

    @contextmanager
    def started(environment: Mapping[str, str]) -> Iterator[Forked | dbt_process.Process]:
        if dbt_process.PROGRAM != PROGRAM:  # a test of how dbt is started
            with real_process(environment) as process:
                yield process
            return
        give_parse(shared, environment)
        with Forked(environment) as process:
            yield process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbt_process, "_started", started)
        yield
